package broker

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

const (
	// idleClients, in the environment, makes this program the clients of measureIdle.
	idleClients = "KPM_IDLE_CLIENTS"
	// maxIdle is what the service may need for a connection that says nothing, in
	// bytes: 4 MB for a hundred.
	maxIdle  = 40_000
	manyIdle = 100
)

// connectIdle connects and subscribes as each line of standard input says, and
// holds the connections until there are no more lines.
func connectIdle() error {
	var held []net.Conn
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var network, address, id string
		if _, err := fmt.Sscan(lines.Text(), &network, &address, &id); err != nil {
			return err
		}
		c, err := net.Dial(network, address)
		if err != nil {
			return err
		}
		if network == "tcp" {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		}
		held = append(held, c)
		hello := connecting{id: id, noKeepAlive: true}.encode(4)
		hello = append(hello, framed(0x82, append(append([]byte{0, 1}, text("idle/"+id)...), 1)...)...)
		if _, err := c.Write(hello); err != nil {
			return err
		}
		answer := make([]byte, 9) // CONNACK and SUBACK
		if _, err := io.ReadFull(c, answer); err != nil || answer[3] != 0 || answer[8] != 1 {
			return fmt.Errorf("%x, %w", answer, err)
		}
		fmt.Println("connected")
	}
	runtime.KeepAlive(held)
	return nil
}

// measureIdle is what one of manyIdle connections costs the broker in memory. The
// clients are another process's.
func measureIdle(t testing.TB, network string) int64 {
	t.Helper()
	var ca string
	b := newBus(t, certificate(t, &ca))
	var lines strings.Builder
	for i := range manyIdle {
		who := plugin(fmt.Sprint("Idle", i), 1000+i, nil, []string{"idle/#"})
		b.members[who.pid] = who
		address := ""
		if network == "tcp" {
			address = b.overTLS(who)
		} else {
			address = b.local(who)
		}
		fmt.Fprintln(&lines, network, address, who.id())
	}
	clients := exec.Command(os.Args[0])
	clients.Env, clients.Stderr = append(os.Environ(), idleClients+"=1"), os.Stderr
	in, err := clients.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := clients.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	before := inUse()
	if _, err := io.WriteString(in, lines.String()); err != nil {
		t.Fatal(err)
	}
	for said, n := bufio.NewScanner(out), 0; n < manyIdle; n++ {
		if !said.Scan() {
			t.Fatalf("%d clients are connected", n)
		}
	}
	if got := b.Stats().Clients; got != manyIdle {
		t.Errorf("%d clients", got)
	}
	each := (inUse() - before) / manyIdle
	in.Close()
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
	return each
}

// inUse is what the heap and the stacks occupy now.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first has found may have been held by finalizers
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// A hundred plugins that say nothing take at most 4 MB of the service.
func TestIdleConnectionsAreSmall(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		// What other tests have left and the collector finds meanwhile makes it less.
		each := max(measureIdle(t, network), measureIdle(t, network), measureIdle(t, network))
		t.Logf("%s: %d bytes", network, each)
		most := int64(maxIdle)
		if raceDetector() {
			most *= 2 // its stacks are larger
		}
		if each > most || each < 1000 { // less would not be a connection
			t.Errorf("%s: an idle connection takes %d bytes, want at most %d", network, each, most)
		}
	}
}

func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// BenchmarkIdle is the same number beside the others: its time is nothing.
func BenchmarkIdle(b *testing.B) {
	for name, network := range map[string]string{"local": "unix", "tls": "tcp"} {
		b.Run(name, func(b *testing.B) {
			each := measureIdle(b, network)
			for b.Loop() { // nothing happens, which is the point
			}
			b.ReportMetric(float64(each), "B/connection")
		})
	}
}
