@NullMarked
package dev.freshet.sampling;

import org.jspecify.annotations.NullMarked;
