package service_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/platform/fake"
	"kpm/plugins/sdk"
	"kpm/service"
	"kpm/settings"
)

// machine is a fake operating system on which the real service runs: broker,
// jobs, API, launcher and journal, with the default jobs. All that it needs of
// an operating system is in package fake.
type machine struct {
	*fake.System
	t      *testing.T
	layout settings.Layout
	reload chan os.Signal
	stop   func()
}

// boot installs an agent and starts it. It returns when requests are served.
func boot(t *testing.T) *machine {
	t.Helper()
	m := install(t)
	m.start()
	return m
}

// install installs an agent, with a policy plugin and the default jobs.
func install(t *testing.T) *machine {
	t.Helper()
	dir := folder(t)
	m := &machine{
		t: t, layout: settings.At(filepath.Join(dir, "agent"), ""), reload: make(chan os.Signal, 1),
		System: fake.New(dir,
			core.Account{User: fake.Administrator, Name: "root", Group: "0", Groups: []string{"0"}, Home: "/root", Shell: "/bin/sh"},
			core.Account{User: "1000", Name: "ada", Group: "1000", Groups: []string{"1000"}, Home: "/home/ada", Shell: "/bin/sh"}),
	}
	m.write(m.layout.AppSettings(), `{
		"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0, "system.logging.level": "Information"},
		"MqttBrokerSettings": {"Port": 0}, "Trust": {"Plugins": "off"}}`)
	m.write(filepath.Join(m.layout.Plugins(), "KeeperLogger.json"), strings.Replace(plugin("KeeperLogger"), `"enabled": true`, `"enabled": false`, 1))
	m.write(filepath.Join(m.layout.Plugins(), "KeeperPolicy.json"), plugin("KeeperPolicy"))
	m.install(m.policyProgram(), keeperPolicy)
	return m
}

// folder is a new folder, without links on the way to it. It is removed file by
// file: Wine 8, under which these tests run as well (vmtests/wine), cannot do
// what os.RemoveAll asks for.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "machine")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var paths []string
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			paths = append(paths, path)
			return err
		})
		for _, path := range slices.Backward(paths) {
			err = errors.Join(err, os.Remove(path))
		}
		if err != nil {
			t.Error(err)
		}
	})
	return dir
}

// plugin is the file of a plugin whose program has its name.
func plugin(id string) string {
	return strings.ReplaceAll(`{
		"id": "NAME", "name": "NAME", "version": "1", "pluginType": "Executable", "executablePath": "bin/NAME",
		"supportedPlatforms": ["Linux", "Windows", "macOS"], "Subscription": {"Topic": "NAME"},
		"metadata": {"mqttTopics": {"publish": [], "subscribe": []}},
		"executionContext": "Service", "autoStart": true, "requiresMonitoring": true, "autoRestart": true, "enabled": true}`, "NAME", id)
}

// options are what a service on the machine's ports needs, or on others in their place.
func options(m *machine, host port.Host, log io.Writer) service.Options {
	return service.Options{
		Root: m.layout.Root(), Files: host.Files, Ports: func() (port.Host, error) { return host, nil },
		Version: "test", Log: log, Reload: m.reload,
	}
}

// start starts the service on the machine's ports, of which change may replace
// some, and waits until its service manager has been told.
func (m *machine) start(change ...func(*port.Host)) {
	m.t.Helper()
	log, err := os.Create(m.logPath())
	if err != nil {
		m.t.Fatal(err)
	}
	host := m.Host()
	for _, c := range change {
		c(&host)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- service.Run(ctx, options(m, host, log))
	}()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			m.t.Error(err)
		}
		log.Close()
	})
	m.t.Cleanup(m.stop)
	select {
	case told := <-m.Service.Told:
		if told != "ready" {
			m.t.Fatalf("the service manager was told %q first", told)
		}
	case err := <-ended:
		ended <- nil
		m.t.Fatalf("the service does not start: %v", err)
	}
}

// told waits until the service has told its manager that.
func (m *machine) told(want string) {
	m.t.Helper()
	if got := <-m.Service.Told; got != want {
		m.t.Fatalf("the service manager was told %q, expected %q", got, want)
	}
}

func (m *machine) logPath() string { return filepath.Join(m.Files.Dir, "service.log") }

// log returns what the service has logged.
func (m *machine) log() string {
	m.t.Helper()
	data, err := os.ReadFile(m.logPath())
	if err != nil {
		m.t.Fatal(err)
	}
	return string(data)
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// bin is a program on the secure path.
func (m *machine) bin(name string) string { return filepath.Join(m.Files.Dir, "bin", name) }

func (m *machine) install(path string, program fake.Program) {
	m.t.Helper()
	if err := m.Launcher.Install(path, program); err != nil {
		m.t.Fatal(err)
	}
}

// policyProgram is where the policy plugin's program lies.
func (m *machine) policyProgram() string {
	return filepath.Join(m.layout.Plugins(), "bin", "KeeperPolicy")
}

// keeperPolicy is a policy plugin: it decides by the program's name alone.
func keeperPolicy(ctx context.Context, p *fake.Process) core.ExitStatus {
	agent, err := sdk.Start(ctx, sdk.Config{ID: wire.PolicyPlugin, Network: sockets{p}})
	if err != nil {
		return core.ExitStatus{Code: 1}
	}
	defer agent.Close()
	err = agent.SubscribeDirect(ctx, wire.TopicPolicy, func(m sdk.Message) {
		question, err := m.Decode()
		var q wire.PolicyRequest
		if err != nil || question.Read(wire.TypePolicyRequest, &q) != nil {
			return
		}
		answer := wire.PolicyResponse{RequestID: q.RequestID, SealDigest: q.SealDigest, Decision: core.Deny, Message: "not this one"}
		switch filepath.Base(q.FilePath) {
		case "allowed":
			answer.Decision, answer.Message = core.Allow, ""
		case "justified":
			answer.Decision, answer.Message, answer.Controls = core.Pending, "", []core.Control{core.ControlJustify}
		}
		_ = agent.Reply(question, wire.TypePolicyResponse, answer) // else the deadline denies
	})
	if err != nil {
		return core.ExitStatus{Code: 2}
	}
	<-ctx.Done()
	return core.ExitStatus{}
}

// sockets is how a process reaches the service: as itself, by what it finds in
// its environment.
type sockets struct{ *fake.Process }

func (s sockets) DialBroker(context.Context) (net.Conn, error) {
	return s.Dial(s.Getenv("KEEPER_MQTT_SOCKET"))
}
func (s sockets) DialAPI(context.Context) (net.Conn, error) {
	return s.Dial(s.Getenv("KEEPER_API_SOCKET"))
}

// visit is a request of ada's, as keepersudo makes it.
type visit struct {
	t      *testing.T
	caller *fake.DoorConn
}

// ask asks to run a program, by its path or bare name, with output as its
// descriptor 1.
func (m *machine) ask(output *os.File, command string, args ...string) *visit {
	m.t.Helper()
	caller, err := m.Transport.ConnectDoor(m.layout.Door(), m.Launcher.Client("1000"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { caller.Close() })
	request := door.Request{Command: command, Argv: append([]string{command}, args...), Env: []string{"TERM=dumb", "LD_PRELOAD=/tmp/x.so"}}
	files := []*os.File{m.open(m.Files.Dir), m.open(os.DevNull), output, m.open(os.DevNull)}
	if filepath.IsAbs(command) {
		request.HasExecutable = true
		files = append(files, m.open(command))
	}
	if err := caller.WriteWithFiles(door.Append(nil, door.TypeRequest, request.Encode()), files...); err != nil {
		m.t.Fatal(err)
	}
	return &visit{m.t, caller}
}

func (m *machine) open(path string) *os.File {
	m.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { f.Close() })
	return f
}

// output is a new file, for what a program prints.
func (m *machine) output() *os.File {
	m.t.Helper()
	f, err := os.CreateTemp(m.Files.Dir, "output")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { f.Close() })
	return f
}

// frame reads the next frame, which must be of this type.
func (v *visit) frame(want door.Type) []byte {
	v.t.Helper()
	kind, body, err := door.Read(v.caller)
	if err != nil {
		v.t.Fatal(err)
	}
	if kind == door.TypeRefused && want != door.TypeRefused {
		refused, _ := door.DecodeRefused(body)
		v.t.Fatalf("refused: %+v", refused)
	}
	if kind != want {
		v.t.Fatalf("a frame of type %d, expected %d", kind, want)
	}
	return body
}

func (v *visit) exit() door.Exit {
	v.t.Helper()
	v.frame(door.TypeStarted)
	exit, err := door.DecodeExit(v.frame(door.TypeExit))
	if err != nil {
		v.t.Fatal(err)
	}
	return exit
}

func (v *visit) refused() door.Refused {
	v.t.Helper()
	refused, err := door.DecodeRefused(v.frame(door.TypeRefused))
	if err != nil {
		v.t.Fatal(err)
	}
	return refused
}

// answer waits for a prompt, checks it and answers.
func (v *visit) answer(about string, a door.Answer) {
	v.t.Helper()
	prompt, err := door.DecodePrompt(v.frame(door.TypePrompt))
	if err != nil || !strings.Contains(prompt.Text, about) {
		v.t.Fatalf("asked %q, %v; expected something about %s", prompt.Text, err, about)
	}
	if err := v.caller.WriteWithFiles(door.Append(nil, door.TypeAnswer, a.Encode())); err != nil {
		v.t.Fatal(err)
	}
}

// recorded returns the records of the last request in the journal, and their
// types.
func (m *machine) recorded() (records []journal.Record, types string) {
	m.t.Helper()
	err := journal.Tail(context.Background(), m.layout.Audit(), 1000, false, func(_ []byte, r journal.Record) error {
		if r.Type == journal.Opened {
			records, types = nil, ""
		}
		if r.Request != "" {
			records, types = append(records, r), strings.TrimSpace(types+" "+string(r.Type))
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return records, types
}

// report is a program that prints as whom and with which words it was started.
func report(code int) fake.Program {
	return func(_ context.Context, p *fake.Process) core.ExitStatus {
		words := append([]string{p.Spec.As.Account.Name, p.Spec.As.RunAs.String()}, p.Spec.Argv...)
		if _, err := p.Spec.Streams.Output.WriteString(strings.Join(words, " ")); err != nil {
			return core.ExitStatus{Code: 99}
		}
		return core.ExitStatus{Code: code}
	}
}

func printed(t *testing.T, f *os.File) string {
	t.Helper()
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
