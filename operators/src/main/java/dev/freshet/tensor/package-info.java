@NullMarked
package dev.freshet.tensor;

import org.jspecify.annotations.NullMarked;
