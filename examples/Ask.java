import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends one prompt to a running job and prints its answer, with nothing but the Kafka client:
 * {@code java -cp 'pipeline/target/lib/*' examples/Ask.java localhost:9092 "The little fox"}.
 */
final class Ask {

    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private Ask() {}

    public static void main(String[] arguments) throws Exception {
        String broker = arguments[0];
        String id = "ask-" + UUID.randomUUID();
        String prompt = arguments[1].replace("\\", "\\\\").replace("\"", "\\\"");
        try (KafkaConsumer<String, String> answers = new KafkaConsumer<>(
                // Only what is committed is an answer.
                Map.of("bootstrap.servers", broker, "isolation.level", "read_committed"),
                new StringDeserializer(),
                new StringDeserializer())) {
            // The end of the topic before the prompt is sent: its answer comes after.
            List<TopicPartition> partitions = new ArrayList<>();
            answers.partitionsFor("completions")
                    .forEach(one -> partitions.add(new TopicPartition(one.topic(), one.partition())));
            answers.assign(partitions);
            answers.seekToEnd(partitions);
            partitions.forEach(answers::position);
            try (KafkaProducer<String, String> prompts = new KafkaProducer<>(
                    Map.of("bootstrap.servers", broker), new StringSerializer(), new StringSerializer())) {
                String request = "{\"custom_id\": \"" + id + "\", \"url\": \"/v1/completions\", \"body\": {\"prompt\": \""
                        + prompt + "\", \"max_tokens\": 40, \"temperature\": 0}}";
                prompts.send(new ProducerRecord<>("prompts", id, request)).get();
            }
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (System.nanoTime() - deadline < 0) {
                for (ConsumerRecord<String, String> answer : answers.poll(Duration.ofMillis(200))) {
                    if (answer.value().contains(id)) {
                        System.out.println(answer.value());
                        return;
                    }
                }
            }
            System.err.println("No answer within " + PATIENCE.toSeconds() + " s. Does the job run?");
            System.exit(1);
        }
    }
}
