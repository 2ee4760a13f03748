package dev.freshet.harness;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * A TCP proxy before a broker that knows the length and the kind of each request, so that a test can stop exactly one kind, all of
 * them, or the whole network. The broker must advertise the proxy's address. Thread-safe.
 */
public final class KafkaProxy implements AutoCloseable {

    /** Api key of the request that commits or aborts a transaction. */
    public static final short END_TXN = 26;

    private static final int LARGEST = 64 << 20;

    private final ServerSocket server;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private volatile int brokerPort;
    private short heldKey = -1;
    private boolean cut;
    private int held;
    private boolean late;

    /** Listens on a free port of the loopback interface. */
    public KafkaProxy() {
        try {
            server = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        start(this::accept);
    }

    /** Where clients connect. */
    public int port() {
        return server.getLocalPort();
    }

    /** Says where the broker listens. */
    public void target(int port) {
        brokerPort = port;
    }

    /** From now on requests of this kind do not reach the broker. */
    public void hold(short apiKey) {
        lock.lock();
        try {
            heldKey = apiKey;
        } finally {
            lock.unlock();
        }
    }

    /** Waits until a request is held. */
    public void awaitHeld(long millis) throws InterruptedException {
        long deadline = System.nanoTime() + millis * 1_000_000;
        lock.lock();
        try {
            while (held == 0) {
                long left = deadline - System.nanoTime();
                if (left <= 0) {
                    throw new IllegalStateException("No request was held within " + millis + " ms");
                }
                changed.awaitNanos(left);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Throws held requests away with their connections, and lets all further ones pass. */
    public void drop() {
        end(false);
        closeAll();
    }

    /** Lets held requests through, late. */
    public void release() {
        end(true);
    }

    private void end(boolean pass) {
        lock.lock();
        try {
            late = pass;
            heldKey = -1;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Cuts every connection and refuses new ones until {@link #heal()}. */
    public void cut() {
        lock.lock();
        try {
            cut = true;
        } finally {
            lock.unlock();
        }
        closeAll();
    }

    /** Lets connections through again. */
    public void heal() {
        lock.lock();
        try {
            cut = false;
        } finally {
            lock.unlock();
        }
    }

    private void closeAll() {
        List<Socket> now = new ArrayList<>(sockets);
        now.forEach(KafkaProxy::close);
        sockets.removeAll(now);
    }

    private void accept() {
        while (!server.isClosed()) {
            try {
                Socket client = server.accept();
                if (isCut()) {
                    client.close();
                    continue;
                }
                sockets.add(client);
                start(() -> serve(client));
            } catch (IOException e) {
                if (!server.isClosed()) {
                    throw new UncheckedIOException(e);
                }
            }
        }
    }

    private boolean isCut() {
        lock.lock();
        try {
            return cut;
        } finally {
            lock.unlock();
        }
    }

    private void serve(Socket client) {
        Socket broker = new Socket();
        sockets.add(broker);
        try (client;
                broker) {
            broker.setTcpNoDelay(true);
            client.setTcpNoDelay(true);
            broker.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), brokerPort), 5000);
            start(() -> copyAnswers(broker, client));
            copyRequests(client, broker);
        } catch (IOException e) {
            // Either side is gone, which the other learns by the end of its connection.
        } finally {
            sockets.remove(client);
            sockets.remove(broker);
        }
    }

    private void copyRequests(Socket client, Socket broker) throws IOException {
        DataInputStream in = new DataInputStream(client.getInputStream());
        DataOutputStream out = new DataOutputStream(broker.getOutputStream());
        while (true) {
            int length = in.readInt();
            if (length < Short.BYTES || length > LARGEST) {
                throw new IOException("Not a Kafka request");
            }
            byte[] request = in.readNBytes(length);
            if (request.length < length || !mayPass(ByteBuffer.wrap(request).getShort())) {
                return;
            }
            byte[] frame = ByteBuffer.allocate(Integer.BYTES + length)
                    .putInt(length)
                    .put(request)
                    .array();
            out.write(frame);
            out.flush();
        }
    }

    /** Waits while requests of this kind are held. */
    private boolean mayPass(short apiKey) {
        lock.lock();
        try {
            if (apiKey != heldKey) {
                return true;
            }
            held++;
            changed.signalAll();
            while (apiKey == heldKey) {
                changed.awaitUninterruptibly();
            }
            held--;
            return late;
        } finally {
            lock.unlock();
        }
    }

    private static void copyAnswers(Socket broker, Socket client) {
        try (broker;
                client) {
            InputStream in = broker.getInputStream();
            OutputStream out = client.getOutputStream();
            byte[] buffer = new byte[1 << 16];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                out.write(buffer, 0, n);
            }
        } catch (IOException e) {
            // The connection ends, and with it both directions.
        }
    }

    private static void start(Runnable work) {
        Thread thread = new Thread(work, "kafka-proxy");
        thread.setDaemon(true);
        thread.start();
    }

    private static void close(AutoCloseable closeable) {
        try {
            closeable.close();
        } catch (Exception e) {
            throw new IllegalStateException("Cannot close a connection", e);
        }
    }

    @Override
    public void close() {
        close(server);
        drop();
    }
}
