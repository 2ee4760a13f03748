package dev.freshet.tokenizer;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.freshet.request.ConfigError;
import dev.freshet.request.ErrorCode;
import dev.freshet.request.RequestError;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/**
 * The tokenizer of a model directory, a byte-level or SentencePiece-style BPE in the format of Hugging Face's tokenizer.json. Text
 * becomes tokens in their native library; tokens become text here. The methods may be called from any thread.
 *
 * <p>Text is always text: the name of a control token inside it, for example {@code </s>}, is encoded like any other characters.
 * Control tokens are put into a prompt by their ids alone, see {@link #idOf} and {@link ChatFormat}.
 */
public final class Tokenizer implements AutoCloseable {

    /** The file in a model directory. */
    public static final String FILE = "tokenizer.json";

    /**
     * Most UTF-16 units in one text. The native library's regular expressions give up, and take the process with them, after ten
     * million steps at one place; with this limit the patterns of known models stay well below.
     */
    public static final int MAX_CHARS = 1 << 21;

    private final TokenizersLibrary library;
    private final long handle;
    private final Vocabulary vocabulary;
    private final DecoderSpec decoder;
    private final Template template;
    // Encoding shares the handle, closing excludes everything else: a freed handle would take the process down.
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private boolean closed;

    private Tokenizer(TokenizersLibrary library, long handle, TokenizerFile.Content content) {
        this.library = library;
        this.handle = handle;
        vocabulary = content.vocabulary();
        decoder = content.decoder();
        template = content.template();
    }

    /**
     * Loads the tokenizer of a model directory.
     *
     * @param directory holds tokenizer.json
     * @throws ConfigError when the file is missing, malformed or of a kind that is not supported
     */
    public static Tokenizer load(Path directory) {
        Path file = directory.resolve(FILE);
        TokenizerFile.Content content = TokenizerFile.read(file);
        TokenizersLibrary library = NativeTokenizers.library();
        try {
            return new Tokenizer(library, library.createTokenizerFromString(content.nativeJson()), content);
        } catch (RuntimeException e) {
            throw TokenizerFile.refusedByLibrary(file, e);
        }
    }

    /**
     * Encodes a prompt, with the tokens around it that the tokenizer asks for, usually a begin-of-sequence token in front.
     *
     * @param text of at most {@link #MAX_CHARS} units; lone surrogates become U+FFFD
     */
    public int[] encode(String text) {
        return template.around(encodeText(text));
    }

    /** Encodes a prompt as {@link #encode} does, or says that it is too long. */
    public EncodedPrompt encodePrompt(String text) {
        return text.length() > MAX_CHARS
                ? new EncodedPrompt.Refused(tooLong("prompt", text.length()))
                : new EncodedPrompt.Tokens(encode(text));
    }

    /** Encodes a text that continues another, with nothing around it, or says that it is too long. */
    public EncodedPrompt encodeNext(String text) {
        return text.length() > MAX_CHARS
                ? new EncodedPrompt.Refused(tooLong("prompt", text.length()))
                : new EncodedPrompt.Tokens(encodeText(text));
    }

    static RequestError tooLong(String field, int length) {
        return new RequestError(
                ErrorCode.PROMPT_TOO_LONG,
                field,
                "Cannot encode the prompt: expected at most " + MAX_CHARS + " characters, got " + length
                        + ". Shorten it.");
    }

    /** Encodes a text alone. */
    public int[] encodeText(String text) {
        if (text.length() > MAX_CHARS) {
            throw new IllegalArgumentException("text expected at most " + MAX_CHARS + " units, got " + text.length());
        }
        String sound = sound(text);
        lock.readLock().lock();
        try {
            if (closed) {
                throw new IllegalStateException("tokenizer is closed");
            }
            long encoding = library.encode(handle, sound, false);
            try {
                long[] wide = library.getTokenIds(encoding);
                int[] ids = new int[wide.length];
                for (int i = 0; i < ids.length; i++) {
                    ids[i] = (int) wide[i];
                }
                return ids;
            } finally {
                library.deleteEncoding(encoding);
            }
        } finally {
            lock.readLock().unlock();
        }
    }

    // Lone surrogates have no UTF-8 form, and the mark of control tokens is not for text.
    private static String sound(String text) {
        StringBuilder out = null;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean pair = Character.isHighSurrogate(c)
                    && i + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(i + 1));
            if (pair) {
                i++;
            } else if (Character.isSurrogate(c) || c == TokenizerFile.CONTROL_MARK) {
                if (out == null) {
                    out = new StringBuilder(text);
                }
                out.setCharAt(i, '\ufffd');
            }
        }
        return out == null ? text : out.toString();
    }

    /**
     * Decodes tokens; ids outside the vocabulary have no text, invalid UTF-8 becomes U+FFFD.
     *
     * @param skipSpecial whether special tokens are left out
     */
    public String decode(int[] ids, boolean skipSpecial) {
        IncrementalDecoder steps = decoder(skipSpecial);
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            steps.accept(id, text);
        }
        steps.finish(text);
        return text.toString();
    }

    /** Starts a decoder for one sequence of tokens. */
    public IncrementalDecoder decoder(boolean skipSpecial) {
        return new IncrementalDecoder(vocabulary, decoder, skipSpecial);
    }

    /** One more than the highest token id; the model's logits must be at least as many. */
    public int vocabSize() {
        return vocabulary.size();
    }

    /** The id of a token by its string, control tokens included. */
    public OptionalInt idOf(String token) {
        return vocabulary.idOf(token);
    }

    /** The string of a token, or null for an id without one. */
    public @Nullable String token(int id) {
        return vocabulary.piece(id);
    }

    /** Whether the tokenizer counts a token as special. */
    public boolean isSpecial(int id) {
        return vocabulary.isSpecial(id);
    }

    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                library.deleteTokenizer(handle);
            }
        } finally {
            lock.writeLock().unlock();
        }
    }
}
