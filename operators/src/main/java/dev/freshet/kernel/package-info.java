@NullMarked
package dev.freshet.kernel;

import org.jspecify.annotations.NullMarked;
