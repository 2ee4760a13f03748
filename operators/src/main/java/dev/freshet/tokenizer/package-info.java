@NullMarked
package dev.freshet.tokenizer;

import org.jspecify.annotations.NullMarked;
