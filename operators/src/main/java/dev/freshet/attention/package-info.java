@NullMarked
package dev.freshet.attention;

import org.jspecify.annotations.NullMarked;
