@NullMarked
package dev.freshet.request;

import org.jspecify.annotations.NullMarked;
