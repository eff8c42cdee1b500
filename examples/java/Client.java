import cdnactivation.billing.v1.Product;
import cdnactivation.cdn.v1.CdnServiceGrpc;
import cdnactivation.cdn.v1.DescribeUserCdnStatusRequest;
import cdnactivation.event.v1.Event;
import cdnactivation.operator.v1.EventServiceGrpc;
import cdnactivation.operator.v1.LockRequest;
import cdnactivation.operator.v1.OperationLockServiceGrpc;
import cdnactivation.operator.v1.UnlockRequest;
import cdnactivation.operator.v1.WatchEventsRequest;
import com.google.gson.Gson;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** A client of cdn-activation in Java: retries, deadlines, the account, and events that are followed across restarts. */
public final class Client {
  private static final long DEADLINE = 5; // seconds, retries included
  private static final long WATCH = 30; // the longest that the service allows
  /** What a follower goes on after: the deadline of a watch, a server that stops, a broken connection. */
  private static final Set<Status.Code> GOES_ON =
      Set.of(Status.Code.DEADLINE_EXCEEDED, Status.Code.UNAVAILABLE, Status.Code.CANCELLED);
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> ACCOUNT =
      Metadata.Key.of("x-account-id", Metadata.ASCII_STRING_MARSHALLER);

  private final ManagedChannel channel;
  private final String token;

  private Client(String target, String token, String serviceConfig) {
    Map<String, ?> retries = new Gson().fromJson(serviceConfig, Map.class);
    this.channel =
        ManagedChannelBuilder.forTarget(target)
            .usePlaintext() // not beyond this machine
            .defaultServiceConfig(retries)
            .enableRetry() // the default of newer releases
            .build();
    this.token = token;
  }

  /** Adds the token and the deadline to a call of an operator. */
  private <S extends AbstractStub<S>> S operator(S stub, long seconds) {
    return with(stub, seconds, new Metadata());
  }

  /** Adds the token, the deadline and the account to an action. */
  private <S extends AbstractStub<S>> S ofAccount(S stub, long accountId) {
    Metadata metadata = new Metadata();
    metadata.put(ACCOUNT, Long.toString(accountId));
    return with(stub, DEADLINE, metadata);
  }

  private <S extends AbstractStub<S>> S with(S stub, long seconds, Metadata metadata) {
    metadata.put(AUTHORIZATION, "Bearer " + token);
    return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata))
        .withDeadlineAfter(seconds, TimeUnit.SECONDS);
  }

  /**
   * Follows the events of an account from the stored cursor, or from the oldest that is kept, until the consumer returns
   * false. A cursor is stored after the consumer has processed the event.
   */
  private void follow(long accountId, Path cursorFile, Predicate<Event> consumer)
      throws IOException, InterruptedException {
    String cursor = Files.exists(cursorFile) ? Files.readString(cursorFile) : "";
    for (int failures = 0; ; ) {
      var request = WatchEventsRequest.newBuilder().setCursor(cursor).setAccountId(accountId).build();
      var stub = operator(EventServiceGrpc.newBlockingStub(channel), WATCH);
      try {
        for (var responses = stub.watchEvents(request); responses.hasNext(); ) {
          var response = responses.next();
          failures = 0;
          boolean more = !response.hasEvent() || consumer.test(response.getEvent());
          cursor = response.getCursor();
          store(cursorFile, cursor);
          if (!more) {
            return;
          }
        }
      } catch (StatusRuntimeException error) {
        // OUT_OF_RANGE (CursorExpired) ends here, too: read the state anew, then start with an empty cursor.
        if (!GOES_ON.contains(error.getStatus().getCode())) {
          throw error;
        }
        failures += 1;
        if (failures > 1) {
          Thread.sleep(ThreadLocalRandom.current().nextLong(50, 100) * Math.min(1 << Math.min(failures, 5), 20));
        }
      }
    }
  }

  /** Replaces a file as a whole. */
  private static void store(Path path, String text) throws IOException {
    Path beside = path.resolveSibling(path.getFileName() + ".new");
    Files.writeString(beside, text);
    Files.move(beside, path, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Runs the example: ADDRESS ACCOUNT SERVICE_CONFIG. */
  public static void main(String[] arguments) throws Exception {
    Map<String, String> environment = System.getenv();
    String token = Files.readString(Path.of(environment.get("TOKEN_FILE"))).strip();
    Client client = new Client(arguments[0], token, Files.readString(Path.of(arguments[2])));
    long accountId = Long.parseLong(arguments[1]);
    var cdn = client.ofAccount(CdnServiceGrpc.newBlockingStub(client.channel), accountId);
    var status = cdn.describeUserCdnStatus(DescribeUserCdnStatusRequest.getDefaultInstance());
    System.out.println("status enabled=" + status.getEnabled());

    // Each write has an id of its own. The retries of the service config repeat the write with the same id.
    String reason = environment.get("REASON");
    var lock = LockRequest.newBuilder().setAccountId(accountId).setProduct(Product.PRODUCT_CDN).setReason(reason)
        .setRequestId(UUID.randomUUID().toString()).build();
    var locks = OperationLockServiceGrpc.newBlockingStub(client.channel);
    System.out.println("locked " + client.operator(locks, DEADLINE).lock(lock).getOperationLock().getReason());
    var unlock = UnlockRequest.newBuilder().setAccountId(accountId).setProduct(Product.PRODUCT_CDN).setReason(reason)
        .setRequestId(UUID.randomUUID().toString()).build();
    System.out.println("lifted " + client.operator(locks, DEADLINE).unlock(unlock).getLifted());

    long[] left = {Long.parseLong(environment.getOrDefault("EVENTS", "0"))}; // 0: without an end
    client.follow(accountId, Path.of(environment.get("CURSOR_FILE")), event -> {
      String of = event.getData().getOperationUnlocked().getReason();
      System.out.println("event " + event.getId() + " " + event.getType() + " " + of);
      return --left[0] != 0;
    });
    client.channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
  }
}
