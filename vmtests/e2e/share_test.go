//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// others are served: elevations of another user and of root, and what root asks
// the API, again and again.
func othersAreServed(t *testing.T, a *agent.Agent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	client := a.Client()
	client.Transport.(*http.Transport).DisableKeepAlives = true
	for i := range 25 {
		for _, uid := range []uint32{4301, 0} {
			if out, err := a.Sudo(ctx, uid, "--root", a.Root, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
				t.Fatalf("the %dth elevation of user %d: %v: %s", i+1, uid, err, out)
			}
		}
		if _, err := agent.PluginsBy(ctx, client); err != nil {
			t.Fatalf("the %dth question of root's: %v", i+1, err)
		}
	}
}

// TestConnectingAndClosing: one user who connects and closes as fast as
// possible, wherever people are served, keeps nobody out.
func TestConnectingAndClosing(t *testing.T) {
	connectingAndClosing(t, "door.sock", "api.sock", "https")
}

// TestConnectingAndClosingAtTheBroker: the same where plugins and jobs connect.
func TestConnectingAndClosingAtTheBroker(t *testing.T) {
	connectingAndClosing(t, "mqtt.sock", "mqtt")
}

func connectingAndClosing(t *testing.T, everywhere ...string) {
	for _, at := range everywhere {
		t.Run(at, func(t *testing.T) {
			a := newAgent(t, allowAll, nil)
			network, address := "unix", filepath.Join(a.Root, "run", at)
			ports, err := a.Ports()
			if err != nil {
				t.Fatal(err)
			}
			if number := map[string]int{"https": ports.HTTPS, "mqtt": ports.MQTT}[at]; number != 0 {
				network, address = "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(number))
			}
			stop := startCrowd(t, 4242, "close", 64, network, address)
			othersAreServed(t, a)
			anotherLogger(t, a)
			stop()
			for _, id := range []string{"KeeperPolicy", "KeeperLogger"} {
				eventually(t, id+" is as healthy as before", func() bool {
					p, err := a.Plugin(t.Context(), id)
					return err == nil && p.Status == "Healthy"
				})
			}
		})
	}
}

// TestASilentCrowd: twenty users who connect and say nothing, as often as they
// may and more, keep nobody out. A plugin that is started anew finds room too.
func TestASilentCrowd(t *testing.T) {
	for _, at := range []string{"door.sock", "api.sock", "mqtt.sock"} {
		t.Run(at, func(t *testing.T) {
			a := newAgent(t, allowAll, nil)
			path := filepath.Join(a.Root, "run", at)
			for uid := range 20 {
				startCrowd(t, 4400+uid, "hold", 40, "unix", path)
			}
			eventually(t, "the crowd is there", func() bool { return connections(t, path) >= 800 })
			othersAreServed(t, a)
			anotherLogger(t, a)
		})
	}
}

// anotherLogger kills KeeperLogger and waits until one that was started anew has
// connected.
func anotherLogger(t *testing.T, a *agent.Agent) {
	t.Helper()
	p, err := a.Plugin(t.Context(), "KeeperLogger")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.ProcessID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another KeeperLogger is healthy", func() bool {
		now, err := a.Plugin(t.Context(), "KeeperLogger")
		return err == nil && now.Status == "Healthy" && now.ProcessID != p.ProcessID
	})
}

// connections counts who has connected to a local socket, or waits to.
func connections(t *testing.T, path string) int {
	t.Helper()
	crowds, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, cmdline := range crowds {
		line, err := os.ReadFile(cmdline)
		if err != nil || !strings.HasPrefix(string(line), "crowd\x00") || !strings.Contains(string(line), path) {
			continue
		}
		links, _ := filepath.Glob(filepath.Join(filepath.Dir(cmdline), "fd", "*"))
		for _, link := range links {
			if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:") {
				n++
			}
		}
	}
	return n
}

const smallSettings = `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0},"MqttBrokerSettings":{"Port":0},%s}`

// TestCommandsThatRunAreNotOpenRequests: whoever has many commands running may
// start another, up to a limit of its own; the door has none of its own below.
func TestCommandsThatRunAreNotOpenRequests(t *testing.T) {
	const most = 150
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		if err := a.Write("appsettings.json", fmt.Sprintf(smallSettings, fmt.Sprintf(`"Requests":{"MaxRunningPerUser":%d}`, most))); err != nil {
			t.Fatal(err)
		}
	})
	marker := fmt.Sprintf("6%08d", time.Now().UnixNano()%1e8)
	var sleepers []*exec.Cmd
	for i := range most {
		if i == most/2 { // fewer at once than one user may have waiting
			recorded(t, a, i, "launched")
		}
		cmd := a.Sudo(t.Context(), 4242, "sleep", marker)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sleepers = append(sleepers, cmd)
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	recorded(t, a, most, "launched")
	for range 3 {
		out, err := a.Sudo(t.Context(), 4242, "id").CombinedOutput()
		if err == nil || !strings.Contains(string(out), fmt.Sprintf("%d commands of yours run", most)) || !strings.Contains(string(out), "try again when one has ended") {
			t.Errorf("one more than %d: %v: %s", most, err, out)
		}
	}
	if n := strings.Count(a.Log(), "commands of yours run"); n != 1 {
		t.Errorf("the refusals are in the log %d times, expected once:\n%s", n, a.Log())
	}
	if out, err := a.Sudo(t.Context(), 4300, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("another user: %v: %s", err, out)
	}
	if err := sleepers[0].Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one more may run", func() bool {
		out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput()
		return err == nil && string(out) == "0\n"
	})
}

// TestManyCallersOfOneUser: fifty at once, which is more than may be open, wait
// for each other and are all served. Those who ask for more than the journal
// can keep are refused, told how long, and mentioned in the log once a minute.
func TestManyCallersOfOneUser(t *testing.T) {
	const callers, each = 50, 6
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		if err := a.Write("appsettings.json", fmt.Sprintf(smallSettings, `"Journal":{"SegmentBytes":65536,"KeepSegments":2},"Requests":{"EvaluateSeconds":2,"LaunchSeconds":2}`)); err != nil {
			t.Fatal(err)
		}
	})
	var served, refused atomic.Int32
	var all sync.WaitGroup
	begun := time.Now()
	for range callers {
		all.Go(func() {
			for range each {
				out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput()
				switch {
				case err == nil && string(out) == "0\n":
					served.Add(1)
				case strings.Contains(string(out), "filled your part of the journal: try again in "):
					refused.Add(1)
				default:
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	all.Wait()
	if served.Load() < 80 || refused.Load() == 0 {
		t.Errorf("%d were served and %d refused", served.Load(), refused.Load())
	}
	if n := strings.Count(a.Log(), "refused for load"); n < 1 || n > 1+int(time.Since(begun).Minutes()) {
		t.Errorf("the refusals are in the log %d times, expected one a minute:\n%s", n, a.Log())
	}
	if out, err := a.Sudo(t.Context(), 4300, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("another user: %v: %s", err, out)
	}
}

// TestACrowdOfOneUser: three hundred callers at once, which is more than may be
// dealt with, wait for each other. Nobody is refused.
func TestACrowdOfOneUser(t *testing.T) {
	const crowd = 300
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		// However long this machine takes for those who are dealt with.
		if err := a.Write("appsettings.json", fmt.Sprintf(smallSettings, `"Requests":{"EvaluateSeconds":30,"LaunchSeconds":30}`)); err != nil {
			t.Fatal(err)
		}
	})
	var all sync.WaitGroup
	for range crowd {
		cmd := a.Sudo(t.Context(), 4242, "id", "-u")
		all.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "0\n" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	recorded(t, a, crowd, "ended")
}

// TestBigProgramsBeforeADecision: what one user has copied and hashed, which
// policy denies, is bounded, and another user's requests pass by it.
func TestBigProgramsBeforeADecision(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		deny := `{"PolicyId":"not","PolicyName":"Not them","PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":["DENY"]}},"UserCheck":["4242"],"MachineCheck":["*"],"ApplicationCheck":["*"]}`
		if err := a.Write("Policies/deny.json", deny); err != nil {
			t.Fatal(err)
		}
	})
	big := filepath.Join(reachable(t), "big")
	small, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(big, append(small, make([]byte, 32<<20-len(small))...), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(big, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answered atomic.Int32
	var all sync.WaitGroup
	const callers = 32
	for range callers {
		all.Go(func() {
			_ = a.Sudo(ctx, 4242, big).Run()
			answered.Add(1)
		})
	}
	copying := filepath.Join(a.Root, "run", "exec")
	eventually(t, "copies are made", func() bool {
		entries, err := os.ReadDir(copying)
		return err == nil && len(entries) > 0
	})
	for range 20 {
		if out, err := a.Sudo(t.Context(), 4301, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Fatalf("another user: %v: %s", err, out)
		}
	}
	if n := answered.Load(); n > callers/2 {
		t.Errorf("%d of %d were copied before another user had been served 20 times", n, callers)
	}
	cancel()
	all.Wait()
}

// An administrator lets many requests be open at once: that many wait, where the
// local socket lets them in as well.
func TestManyOpenRequests(t *testing.T) {
	const most = 280
	a := newAgent(t, approvals, func(a *agent.Agent) {
		if err := a.Write("appsettings.json", fmt.Sprintf(smallSettings, fmt.Sprintf(`"Requests":{"MaxOpen":%d,"MaxOpenPerUser":%d}`, 2*most, most))); err != nil {
			t.Fatal(err)
		}
	})
	for range most {
		cmd := a.Sudo(t.Context(), 4242, "id")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	recorded(t, a, most, "pending")
	if out, err := a.Sudo(t.Context(), 4300, filepath.Join(a.Root, "KeeperAdminCLI"), "--help").CombinedOutput(); err != nil {
		t.Errorf("another user: %v: %s", err, out)
	}
}
