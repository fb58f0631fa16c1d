//go:build linux

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
	"kpm/vmtests/terminal"
)

// patience is how long a test waits for what must come to pass, also on a machine
// that is busy with other things. It is spent only by tests that fail.
const patience = 2 * time.Minute

// agentKey finds the script's agent among its values.
type agentKey struct{}

// The first thread is the main goroutine's alone. A test may change a thread for good, and
// end it; that one does not end, and stands for the whole process in /proc: root in another
// mount namespace is nobody whom the service knows.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	terminal.DefaultSignals()
	apart.Main(func() { testscript.Main(m, map[string]func(){"as": as, "person": person, "crowd": crowd}) })
}

func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"agent":         agentCommand,
			"plugin":        pluginCommand,
			"settle":        settle,
			"gone":          gone,
			"until-allowed": untilAllowed,
			"until-logged":  untilLogged,
			"until-said":    untilSaid,
			"said":          said,
		},
	})
}

// setup gives a script an agent root of its own, with the files below agent/
// of the script laid over the staged ones.
func setup(env *testscript.Env) error {
	for _, dir := range []string{filepath.Dir(env.WorkDir), env.WorkDir} { // other users come here
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	overlay := filepath.Join(env.WorkDir, "agent")
	files := map[string]string{}
	err := filepath.WalkDir(overlay, func(path string, entry os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(overlay, path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(overlay); err != nil {
		return err
	}
	staged, err := agent.Staged()
	if err != nil {
		return err
	}
	a, err := agent.New(staged, env.WorkDir, nil)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := a.Write(name, text); err != nil {
			return err
		}
		if strings.Contains(name, "/bin/") {
			if err := os.Chmod(filepath.Join(a.Root, name), 0o755); err != nil {
				return err
			}
		}
	}
	env.Values[agentKey{}] = a
	env.Setenv("KEEPER_AGENT_ROOT", a.Root)
	env.Setenv("PATH", a.Root+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("AGENT", a.Root)
	env.Setenv("TERM", "dumb")
	env.Defer(func() { _ = a.Kill() })
	return nil
}

// agentCommand is `agent start|stop|kill`, `agent ports`, which waits until all
// ports are held, and `agent log PATTERN`, which waits until the service has
// printed text that contains PATTERN.
func agentCommand(ts *testscript.TestScript, neg bool, args []string) {
	a := ts.Value(agentKey{}).(*agent.Agent)
	ctx := context.Background()
	switch {
	case len(args) == 1 && args[0] == "start":
		ports, err := a.Start(ctx)
		if neg {
			if err == nil {
				ts.Fatalf("the service started")
			}
			fmt.Fprintln(ts.Stdout(), err)
			return
		}
		ts.Check(err)
		setPorts(ts, ports)
	case len(args) == 1 && args[0] == "ports":
		ports, err := a.Ports()
		for deadline := time.Now().Add(patience); err == nil && (ports.HTTP == 0 || ports.HTTPS == 0 || ports.MQTT == 0); ports, err = a.Ports() {
			if time.Now().After(deadline) {
				ts.Fatalf("held are %+v\n%s", ports, a.Log())
			}
			time.Sleep(5 * time.Millisecond)
		}
		ts.Check(err)
		setPorts(ts, ports)
	case len(args) == 1 && args[0] == "stop":
		ts.Check(a.Stop())
	case len(args) == 1 && args[0] == "kill":
		ts.Check(a.Kill())
	case len(args) == 2 && args[0] == "log":
		deadline := time.Now().Add(patience)
		for !strings.Contains(a.Log(), args[1]) {
			if time.Now().After(deadline) {
				ts.Fatalf("the service never printed %q:\n%s", args[1], a.Log())
			}
			time.Sleep(5 * time.Millisecond)
		}
	default:
		ts.Fatalf("usage: agent start|stop|kill|ports|log TEXT")
	}
}

func setPorts(ts *testscript.TestScript, ports agent.Ports) {
	ts.Setenv("HTTP", strconv.Itoa(ports.HTTP))
	ts.Setenv("HTTPS", strconv.Itoa(ports.HTTPS))
	ts.Setenv("MQTT", strconv.Itoa(ports.MQTT))
}

// pluginCommand is `plugin kill|stop ID`: kill -9 of a plugin's process, or
// SIGSTOP, after which it hangs.
func pluginCommand(ts *testscript.TestScript, neg bool, args []string) {
	a := ts.Value(agentKey{}).(*agent.Agent)
	signals := map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP}
	if len(args) != 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: plugin kill|stop ID")
	}
	p, err := a.Plugin(context.Background(), args[1])
	ts.Check(err)
	ts.Check(syscall.Kill(p.ProcessID, signals[args[0]]))
}

// settle is `settle ID`: wait until a plugin is healthy.
func settle(ts *testscript.TestScript, neg bool, args []string) {
	a := ts.Value(agentKey{}).(*agent.Agent)
	deadline := time.Now().Add(patience)
	for {
		p, err := a.Plugin(context.Background(), args[0])
		if err == nil && p.Status == "Healthy" {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("plugin %s is %+v, %v\n%s", args[0], p, err, a.Log())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// gone is `gone FILE`: wait until the process whose pid is in the file has
// ended.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	for deadline := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("pid %d still runs", pid)
		}
	}
}

// untilAllowed is `until-allowed UID CMD ARG...`: policies are read again soon
// after they change, and nobody is told when.
func untilAllowed(ts *testscript.TestScript, neg bool, args []string) {
	a := ts.Value(agentKey{}).(*agent.Agent)
	uid, err := strconv.Atoi(args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		out, err := a.Sudo(context.Background(), uint32(uid), args[1:]...).CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("never allowed: %v\n%s\n%s", err, out, a.Log())
		}
	}
}

// untilLogged is `until-logged TEXT`: wait for a line in KeeperLogger's
// file.
func untilLogged(ts *testscript.TestScript, neg bool, args []string) {
	a := ts.Value(agentKey{}).(*agent.Agent)
	path := filepath.Join(a.Root, "Plugins/bin/KeeperLogger/Log/KeeperLogger.log")
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		data, _ := os.ReadFile(path)
		if strings.Contains(string(data), args[0]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never held %q:\n%s", path, args[0], data)
		}
	}
}

// untilSaid is `until-said ID TEXT`: wait for a line in the diary that a plugin
// of the story keeps, ID.said in the agent root.
func untilSaid(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(patience); !strings.Contains(diary(ts, args[0]), args[1]); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s never said %q:\n%s\n%s", args[0], args[1], diary(ts, args[0]), ts.Value(agentKey{}).(*agent.Agent).Log())
		}
	}
}

// said is `! said ID TEXT`: no such line is there by now.
func said(ts *testscript.TestScript, neg bool, args []string) {
	if strings.Contains(diary(ts, args[0]), args[1]) == neg {
		ts.Fatalf("%s said:\n%s", args[0], diary(ts, args[0]))
	}
}

func diary(ts *testscript.TestScript, id string) string {
	data, _ := os.ReadFile(filepath.Join(ts.Value(agentKey{}).(*agent.Agent).Root, id+".said"))
	return string(data)
}
