# root: servers
# OpenJDK: javac, threads, garbage collectors, NIO, mapped files, processes, virtual timers, signals.
set -u
cd "$(mktemp -d)"
cat >Main.java <<'EOS'
import java.io.*;
import java.lang.ProcessBuilder.Redirect;
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.nio.file.attribute.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.*;
import java.util.stream.*;
import java.util.zip.*;

public class Main {
	public static void main(String[] args) throws Exception {
		System.out.println("java " + Runtime.version().feature() + " " + System.getProperty("os.name") + " " + System.getProperty("os.arch"));
		threads();
		pools();
		timers();
		garbage();
		files();
		mapped();
		watch();
		locks();
		sockets();
		processes();
		faults();
		zip();
	}

	static void threads() throws Exception {
		AtomicLong sum = new AtomicLong();
		long[] plain = new long[1];
		Object lock = new Object();
		Thread[] all = new Thread[64];
		for (int i = 0; i < all.length; i++) {
			all[i] = new Thread(() -> {
				for (int j = 0; j < 2000; j++) {
					sum.incrementAndGet();
					synchronized (lock) { plain[0]++; }
				}
			});
			all[i].start();
		}
		for (Thread t : all) t.join();
		System.out.println("threads " + sum + " " + plain[0]);
		SynchronousQueue<Integer> q = new SynchronousQueue<>();
		Thread producer = new Thread(() -> {
			try { for (int i = 0; i < 2000; i++) q.put(i); q.put(-1); } catch (InterruptedException e) { }
		});
		producer.start();
		long s = 0;
		for (int v; (v = q.take()) >= 0; ) s += v;
		producer.join();
		System.out.println("handed over " + s);
		Thread sleeper = new Thread(() -> {
			try { Thread.sleep(60_000); } catch (InterruptedException e) { System.out.println("interrupted"); }
		});
		sleeper.start();
		Thread.sleep(50);
		sleeper.interrupt();
		sleeper.join();
		Thread parked = new Thread(() -> { LockSupport.park(); System.out.println("unparked"); });
		parked.start();
		while (parked.getState() != Thread.State.WAITING) Thread.yield();
		LockSupport.unpark(parked);
		parked.join();
		// Stack traces of running threads need safepoints: pages that are protected under their feet.
		AtomicBoolean end = new AtomicBoolean();
		Thread busy = new Thread(() -> { long x = 0; while (!end.get()) x++; });
		busy.start();
		for (int i = 0; i < 200; i++) if (Thread.getAllStackTraces().get(busy) == null) System.out.println("no trace");
		end.set(true);
		busy.join();
	}

	static void pools() throws Exception {
		ForkJoinPool pool = new ForkJoinPool(4);
		long r = pool.submit(() -> LongStream.rangeClosed(1, 3_000_000).parallel().map(x -> x * x % 1000).sum()).get();
		System.out.println("parallel " + r);
		pool.shutdown();
		ExecutorService ex = Executors.newCachedThreadPool();
		List<Future<Integer>> fs = new ArrayList<>();
		for (int i = 0; i < 200; i++) { int n = i; fs.add(ex.submit(() -> { Thread.sleep(n % 5); return n; })); }
		int t = 0;
		for (Future<Integer> f : fs) t += f.get();
		System.out.println("futures " + t);
		ex.shutdown();
		System.out.println(ex.awaitTermination(10, TimeUnit.SECONDS));
		System.out.println(CompletableFuture.supplyAsync(() -> 20).thenCombine(CompletableFuture.supplyAsync(() -> 22), Integer::sum).get());
	}

	static void timers() throws Exception {
		ScheduledExecutorService s = Executors.newScheduledThreadPool(1);
		CountDownLatch ticks = new CountDownLatch(20);
		ScheduledFuture<?> f = s.scheduleAtFixedRate(ticks::countDown, 1, 2, TimeUnit.MILLISECONDS);
		System.out.println("ticks " + ticks.await(20, TimeUnit.SECONDS));
		f.cancel(false);
		List<String> order = Collections.synchronizedList(new ArrayList<>());
		CountDownLatch three = new CountDownLatch(3);
		for (int ms : new int[] {300, 100, 200}) s.schedule(() -> { order.add("" + ms); three.countDown(); }, ms, TimeUnit.MILLISECONDS);
		three.await();
		System.out.println("order " + order);
		s.shutdownNow();
		long a = System.nanoTime();
		Thread.sleep(100);
		System.out.println("slept " + (System.nanoTime() - a >= 100_000_000L) + " " + (Math.abs(System.currentTimeMillis() - Instant.now().toEpochMilli()) < 5000));
		try { CompletableFuture.supplyAsync(() -> { try { Thread.sleep(3000); } catch (InterruptedException e) { } return 1; }).get(50, TimeUnit.MILLISECONDS); }
		catch (TimeoutException e) { System.out.println("timed out"); }
	}

	static void garbage() {
		Map<Integer, byte[]> keep = new HashMap<>();
		Random r = new Random(1);
		long made = 0;
		for (int i = 0; i < 200_000; i++) {
			byte[] b = new byte[1 + r.nextInt(4096)];
			b[b.length / 2] = 1;
			made += b.length;
			if (i % 50 == 0) keep.put(i, b);
			if (keep.size() > 1000) keep.clear();
		}
		System.gc();
		System.out.println("garbage " + made + " " + keep.size());
		try {
			List<long[]> all = new ArrayList<>();
			while (true) all.add(new long[1 << 20]);
		} catch (OutOfMemoryError e) { System.out.println(e.getMessage()); }
		try { deep(0); } catch (StackOverflowError e) { System.out.println("stack overflow"); }
	}

	static int deep(int n) { return deep(n + 1) + 1; }

	static void files() throws Exception {
		Path dir = Files.createTempDirectory("d");
		Path f = dir.resolve("f");
		Files.writeString(f, "one\ntwo\nthree\n");
		Files.write(f, List.of("four"), StandardOpenOption.APPEND);
		System.out.println(Files.readAllLines(f) + " " + Files.size(f));
		Files.setPosixFilePermissions(f, PosixFilePermissions.fromString("rw-r-x--x"));
		System.out.println(PosixFilePermissions.toString(Files.getPosixFilePermissions(f)) + " " + Files.getOwner(f));
		Files.setLastModifiedTime(f, FileTime.from(Instant.parse("2001-02-03T04:05:06.789Z")));
		System.out.println(Files.getLastModifiedTime(f));
		Files.createSymbolicLink(dir.resolve("s"), Path.of("f"));
		Files.createLink(dir.resolve("l"), f);
		System.out.println(Files.readSymbolicLink(dir.resolve("s")) + " " + Files.getAttribute(f, "unix:nlink") + " " + Files.isSameFile(f, dir.resolve("l")));
		Files.copy(f, dir.resolve("c"), StandardCopyOption.COPY_ATTRIBUTES);
		Files.move(dir.resolve("c"), dir.resolve("m"), StandardCopyOption.ATOMIC_MOVE);
		try (FileChannel c = FileChannel.open(dir.resolve("big"), StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
			ByteBuffer[] bs = {ByteBuffer.allocateDirect(5000), ByteBuffer.allocate(3000)};
			for (ByteBuffer b : bs) while (b.hasRemaining()) b.put((byte) b.position());
			for (ByteBuffer b : bs) b.flip();
			System.out.println("wrote " + c.write(bs) + " at " + c.position());
			c.write(ByteBuffer.wrap("x".getBytes()), 100_000);
			System.out.println("size " + c.size());
			c.truncate(9000);
			c.force(true);
			try (FileChannel o = FileChannel.open(dir.resolve("copy"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
				System.out.println("sent " + c.transferTo(10, 8000, o));
			}
			CRC32 crc = new CRC32();
			crc.update(Files.readAllBytes(dir.resolve("copy")));
			System.out.println(Long.toHexString(crc.getValue()));
		}
		try { Files.createDirectory(dir.resolve("f")); } catch (FileAlreadyExistsException e) { System.out.println("exists"); }
		try { Files.delete(dir); } catch (DirectoryNotEmptyException e) { System.out.println("not empty"); }
		try { Files.readString(dir.resolve("none")); } catch (NoSuchFileException e) { System.out.println("none"); }
		try { Files.setAttribute(f, "user:k", ByteBuffer.wrap("v".getBytes())); System.out.println("xattr"); } catch (Exception e) { System.out.println(e.getClass().getSimpleName()); }
		AsynchronousFileChannel as = AsynchronousFileChannel.open(f, StandardOpenOption.READ);
		ByteBuffer ab = ByteBuffer.allocate(8);
		System.out.println("async " + as.read(ab, 4).get());
		as.close();
		try (Stream<Path> w = Files.walk(dir)) { w.sorted(Comparator.reverseOrder()).forEach(p -> { System.out.println(dir.relativize(p)); p.toFile().delete(); }); }
		System.out.println(Files.exists(dir) + " " + (Files.getFileStore(Path.of("/tmp")).getTotalSpace() > 0) + " " + Files.getFileStore(Path.of("/tmp")).type());
	}

	static void mapped() throws Exception {
		Path f = Files.createTempFile("m", "");
		try (FileChannel c = FileChannel.open(f, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
			MappedByteBuffer a = c.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
			MappedByteBuffer b = c.map(FileChannel.MapMode.READ_WRITE, 4096, 8192);
			MappedByteBuffer p = c.map(FileChannel.MapMode.PRIVATE, 0, 8192);
			IntBuffer ints = a.asIntBuffer();
			for (int i = 0; i < ints.capacity(); i++) ints.put(i, i * 7);
			System.out.println("shared " + b.getInt(0) + " " + p.getInt(4096));
			p.putInt(4096, 5);
			System.out.println("private " + p.getInt(4096) + " " + b.getInt(0));
			a.force();
			ByteBuffer r = ByteBuffer.allocate(4);
			c.read(r, 400);
			System.out.println("read " + r.getInt(0) + " " + a.load().isLoaded());
			Thread[] ts = new Thread[4];
			for (int i = 0; i < ts.length; i++) { int n = i; ts[i] = new Thread(() -> { for (int j = n; j < a.limit(); j += 4) a.put(j, (byte) n); }); ts[i].start(); }
			for (Thread t : ts) t.join();
			CRC32 crc = new CRC32();
			crc.update(a);
			System.out.println("crc " + Long.toHexString(crc.getValue()));
		}
		Files.delete(f);
	}

	static void watch() throws Exception {
		Path d = Files.createTempDirectory("w");
		try (WatchService w = d.getFileSystem().newWatchService()) {
			d.register(w, StandardWatchEventKinds.ENTRY_CREATE, StandardWatchEventKinds.ENTRY_DELETE);
			Files.createFile(d.resolve("x"));
			Files.delete(d.resolve("x"));
			int n = 0;
			while (n < 2) {
				WatchKey k = w.poll(20, TimeUnit.SECONDS);
				if (k == null) { System.out.println("no event"); break; }
				for (WatchEvent<?> e : k.pollEvents()) { System.out.println(e.kind() + " " + e.context()); n++; }
				k.reset();
			}
		}
	}

	static void locks() throws Exception {
		Path f = Files.createTempFile("l", "");
		try (FileChannel c = FileChannel.open(f, StandardOpenOption.WRITE); FileLock l = c.lock(0, 10, false)) {
			System.out.println("locked " + l.isValid());
			try { c.lock(5, 10, false); } catch (OverlappingFileLockException e) { System.out.println("overlaps"); }
			Process p = new ProcessBuilder("python3", "-c", "import fcntl,sys\nf=open(sys.argv[1],'r+')\ntry: fcntl.lockf(f, fcntl.LOCK_EX|fcntl.LOCK_NB, 4)\nexcept OSError as e: print(e.strerror)", f.toString()).redirectErrorStream(true).start();
			System.out.print(new String(p.getInputStream().readAllBytes()));
			p.waitFor();
		}
	}

	static void sockets() throws Exception {
		Path s = Path.of("sock");
		ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
		Files.deleteIfExists(s);
		server.bind(UnixDomainSocketAddress.of(s));
		server.configureBlocking(false);
		Selector sel = Selector.open();
		server.register(sel, SelectionKey.OP_ACCEPT);
		Thread t = new Thread(() -> {
			try (SocketChannel c = SocketChannel.open(UnixDomainSocketAddress.of(s))) {
				ByteBuffer b = ByteBuffer.allocate(1 << 20);
				while (b.hasRemaining()) b.put((byte) 3);
				b.flip();
				while (b.hasRemaining()) c.write(b);
				c.shutdownOutput();
				ByteBuffer r = ByteBuffer.allocate(64);
				while (c.read(r) >= 0) ;
				System.out.println("answer " + new String(r.array(), 0, r.position()));
			} catch (IOException e) { e.printStackTrace(); }
		});
		t.start();
		long got = 0;
		boolean done = false;
		while (!done) {
			sel.select();
			for (SelectionKey k : sel.selectedKeys()) {
				if (k.isAcceptable()) { SocketChannel c = server.accept(); c.configureBlocking(false); c.register(sel, SelectionKey.OP_READ); continue; }
				SocketChannel c = (SocketChannel) k.channel();
				ByteBuffer b = ByteBuffer.allocateDirect(10_000);
				int n = c.read(b);
				if (n >= 0) { got += n; continue; }
				c.write(ByteBuffer.wrap(("got " + got).getBytes()));
				c.close();
				done = true;
			}
			sel.selectedKeys().clear();
		}
		t.join();
		Pipe p = Pipe.open();
		p.sink().write(ByteBuffer.wrap("pipe".getBytes()));
		ByteBuffer b = ByteBuffer.allocate(10);
		System.out.println(p.source().read(b));
		ServerSocket tcp = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
		Socket c = new Socket(tcp.getInetAddress(), tcp.getLocalPort());
		Socket a = tcp.accept();
		c.getOutputStream().write("loop".getBytes());
		System.out.println(new String(a.getInputStream().readNBytes(4)));
		a.setSoTimeout(50);
		try { a.getInputStream().read(); } catch (SocketTimeoutException e) { System.out.println("so timeout"); }
		Thread closer = new Thread(() -> { try { Thread.sleep(100); a.close(); } catch (Exception e) { } });
		a.setSoTimeout(0);
		closer.start();
		try { a.getInputStream().read(); System.out.println("read?"); } catch (SocketException e) { System.out.println(e.getMessage()); }
		System.out.println(c.getInputStream().read());
		Selector w = Selector.open();
		new Thread(() -> { try { Thread.sleep(50); } catch (InterruptedException e) { } w.wakeup(); }).start();
		System.out.println("woken " + w.select());
	}

	static void processes() throws Exception {
		Process p = new ProcessBuilder("cat").start();
		try (OutputStream o = p.getOutputStream()) { o.write("through cat\n".getBytes()); }
		System.out.print(new String(p.getInputStream().readAllBytes()));
		System.out.println(p.waitFor());
		System.out.println(new ProcessBuilder("sh", "-c", "exit 7").start().waitFor());
		Process k = new ProcessBuilder("sleep", "100").start();
		System.out.println(k.waitFor(50, TimeUnit.MILLISECONDS) + " " + k.isAlive() + " " + k.toHandle().info().command().orElse("?"));
		k.destroyForcibly();
		System.out.println(k.waitFor());
		Process e = new ProcessBuilder("sh", "-c", "echo $X; pwd; ls -l /proc/self/fd | wc -l").directory(new File("/usr")).redirectErrorStream(true).redirectOutput(Redirect.PIPE).start();
		System.out.print(new String(e.getInputStream().readAllBytes()));
		try { new ProcessBuilder("/no/such").start(); } catch (IOException x) { System.out.println(x.getMessage()); }
		List<Process> ps = ProcessBuilder.startPipeline(List.of(new ProcessBuilder("seq", "1000"), new ProcessBuilder("grep", "7"), new ProcessBuilder("wc", "-l")));
		System.out.print(new String(ps.get(2).getInputStream().readAllBytes()));
		ExecutorService ex = Executors.newFixedThreadPool(4);
		List<Future<Integer>> all = new ArrayList<>();
		for (int i = 0; i < 40; i++) { int n = i; all.add(ex.submit(() -> new ProcessBuilder("sh", "-c", "exit " + n).start().waitFor())); }
		int sum = 0;
		for (Future<Integer> f : all) sum += f.get();
		System.out.println("forty " + sum);
		ex.shutdown();
		CompletableFuture<ProcessHandle> exit = new ProcessBuilder("true").start().toHandle().onExit();
		System.out.println("exit " + !exit.get().isAlive() + " children " + ProcessHandle.current().children().count());
	}

	static void faults() throws Exception {
		String s = null;
		int n = 0;
		for (int i = 0; i < 20_000; i++) try { s.length(); } catch (NullPointerException e) { n++; }
		System.out.println("null " + n);
		int z = 0;
		try { System.out.println(1 / z); } catch (ArithmeticException e) { System.out.println(e.getMessage()); }
		// A file that shrinks under its mapping: SIGBUS, which the JVM makes an error of.
		Path f = Files.createTempFile("b", "");
		try (FileChannel c = FileChannel.open(f, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
			MappedByteBuffer m = c.map(FileChannel.MapMode.READ_WRITE, 0, 8192);
			c.truncate(0);
			try { m.get(5000); System.out.println("no fault"); } catch (InternalError e) { System.out.println("InternalError"); }
		}
	}

	static void zip() throws Exception {
		try (ZipOutputStream z = new ZipOutputStream(Files.newOutputStream(Path.of("z.zip")))) {
			for (int i = 0; i < 50; i++) { z.putNextEntry(new ZipEntry("e" + i)); z.write(("entry " + i).repeat(1000).getBytes()); z.closeEntry(); }
		}
		try (FileSystem fs = FileSystems.newFileSystem(Path.of("z.zip"))) {
			System.out.println(Files.readString(fs.getPath("e49")).length() + " " + Files.size(Path.of("z.zip")));
		}
	}
}
EOS
javac Main.java && ls *.class | sort
# Some of the processors and memory are the machine's: the job names its own.
for gc in Serial Parallel G1 Shenandoah Z; do
	echo "== $gc"
	java -XX:ActiveProcessorCount=2 -Xmx96m -XX:+Use${gc}GC Main >out.$gc 2>&1; echo "gave $?"
	[ $gc = Serial ] && cat out.Serial || diff out.Serial out.$gc
done
echo "== modes"
java -Xmx64m -Xint -cp . -version 2>&1 | wc -l
java -Xmx64m -Xlog:gc -XX:+UseSerialGC -XX:+AlwaysPreTouch -version 2>&1 | grep -c Using
java -Xshare:dump -Xmx64m >/dev/null 2>&1; echo "dump gave $?"
java -Xshare:on -Xmx64m -version >/dev/null 2>&1; echo "shared gave $?"
cat >Sig.java <<'EOS'
public class Sig {
	public static void main(String[] a) throws Exception {
		Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
		System.out.println("ready");
		Thread.sleep(60_000);
	}
}
EOS
for s in TERM INT HUP; do
	rm -f out; (trap - INT; exec java -Xmx64m Sig.java) >out 2>&1 & p=$!
	until grep -q ready out; do sleep 0.1; done
	kill -$s $p; wait $p; echo "$s gave $?"; cat out
done
java -Xmx64m Sig.java >out 2>&1 & p=$!
until grep -q ready out; do sleep 0.1; done
jcmd -l | grep -c launcher
jstack $p | grep -c -E '^"main"|Full thread dump'
kill -QUIT $p; until grep -q 'Full thread dump' out; do sleep 0.1; done
jcmd $p VM.flags >/dev/null && echo flags; jcmd $p GC.class_histogram | grep -c java.lang.String
jmap -dump:format=b,file=heap $p | grep -c created; [ -s heap ] && echo heap
kill -9 $p; { wait $p; } 2>/dev/null; echo "KILL gave $?"
echo 'System.out.println(6 * 7)' | jshell -s --execution local 2>/dev/null
jar cfe m.jar Main *.class && java -Xmx96m -jar m.jar | md5sum >a; sed 's/x/x/' out.Serial | md5sum | cmp a - && echo "jar does the same"
java -Xmx64m -XX:+UnlockDiagnosticVMOptions -XX:NativeMemoryTracking=summary -XX:+PrintNMTStatistics -version 2>&1 | grep -c 'Total: reserved'
