@NullMarked
package dev.freshet.job;

import org.jspecify.annotations.NullMarked;
