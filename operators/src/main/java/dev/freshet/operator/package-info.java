@NullMarked
package dev.freshet.operator;

import org.jspecify.annotations.NullMarked;
