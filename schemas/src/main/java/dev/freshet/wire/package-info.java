@NullMarked
package dev.freshet.wire;

import org.jspecify.annotations.NullMarked;
