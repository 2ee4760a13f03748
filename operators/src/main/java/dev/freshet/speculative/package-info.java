@NullMarked
package dev.freshet.speculative;

import org.jspecify.annotations.NullMarked;
