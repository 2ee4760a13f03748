@NullMarked
package dev.freshet.model;

import org.jspecify.annotations.NullMarked;
