package service_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/door"
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
	log    *os.File
	stop   func()
}

// boot installs an agent and starts it. It returns when requests are served.
func boot(t *testing.T) *machine {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{
		t: t, layout: settings.At(filepath.Join(dir, "agent"), ""),
		System: fake.New(dir,
			core.Account{User: fake.Administrator, Name: "root", Group: "0", Groups: []string{"0"}, Home: "/root", Shell: "/bin/sh"},
			core.Account{User: "1000", Name: "ada", Group: "1000", Groups: []string{"1000"}, Home: "/home/ada", Shell: "/bin/sh"}),
	}
	m.write(m.layout.AppSettings(), `{
		"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0, "system.logging.level": "Information"},
		"MqttBrokerSettings": {"Port": 0}, "Trust": {"Plugins": "off"}}`)
	m.write(filepath.Join(m.layout.Plugins(), "KeeperLogger.json"), strings.Replace(plugin("KeeperLogger"), `"enabled": true`, `"enabled": false`, 1))
	m.write(filepath.Join(m.layout.Plugins(), "KeeperPolicy.json"), plugin("KeeperPolicy"))
	m.install(filepath.Join(m.layout.Plugins(), "bin", "KeeperPolicy"), keeperPolicy)
	m.start()
	return m
}

// plugin is the file of a plugin whose program has its name.
func plugin(id string) string {
	return strings.ReplaceAll(`{
		"id": "NAME", "name": "NAME", "version": "1", "pluginType": "Executable", "executablePath": "bin/NAME",
		"supportedPlatforms": ["Linux", "Windows", "macOS"], "Subscription": {"Topic": "NAME"},
		"metadata": {"mqttTopics": {"publish": [], "subscribe": []}},
		"executionContext": "Service", "autoStart": true, "requiresMonitoring": true, "autoRestart": true, "enabled": true}`, "NAME", id)
}

func (m *machine) start() {
	m.t.Helper()
	var err error
	if m.log, err = os.Create(filepath.Join(m.Files.Dir, "service.log")); err != nil {
		m.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- service.Run(ctx, m.Host(), service.Options{Root: m.layout.Root(), Version: "test", Log: m.log})
	}()
	var once bool
	m.stop = func() {
		if once {
			return
		}
		once = true
		stop()
		if err := <-ended; err != nil {
			m.t.Error(err)
		}
		m.log.Close()
	}
	m.t.Cleanup(m.stop)
	select {
	case told := <-m.Service.Told:
		if told != "ready" {
			m.t.Fatalf("the service manager was told %q", told)
		}
	case err := <-ended:
		ended <- nil
		m.t.Fatalf("the service does not start: %v", err)
	}
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

func (m *machine) install(path string, program fake.Program) {
	m.t.Helper()
	if err := m.Launcher.Install(path, program); err != nil {
		m.t.Fatal(err)
	}
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

// One elevation, from the request to the exit status, on an operating system of
// fakes.
func TestAnOperatingSystem(t *testing.T) {
	m := boot(t)
	bin := func(name string) string { return filepath.Join(m.Files.Dir, "bin", name) }
	m.install(bin("allowed"), report(0))
	m.install(bin("justified"), report(7))
	m.install(bin("other"), report(0))
	mine := filepath.Join(m.Files.Dir, "home", "allowed")
	m.install(mine, report(3))

	t.Run("allow", func(t *testing.T) {
		out := m.output()
		if got := m.ask(out, "allowed", "a b", "$c").exit(); got != (door.Exit{}) {
			t.Errorf("%+v", got)
		}
		if got, want := printed(t, out), "root UserElevated allowed a b $c"; got != want {
			t.Errorf("it was started as %q, expected %q", got, want)
		}
		records, types := m.recorded()
		if want := "opened evaluating allowed launching launched ended"; types != want {
			t.Fatalf("recorded: %s", types)
		}
		opened, launched, ended := records[0], records[4], records[5]
		if opened.User != "ada" || opened.Target != "root" || opened.Program.Path != bin("allowed") || !opened.Program.Protected {
			t.Errorf("opened: %+v", opened)
		}
		if launched.Child == nil || launched.Child.Start == 0 || ended.Exit == nil || *ended.Exit != (core.ExitStatus{}) {
			t.Errorf("launched %+v, ended %+v", launched, ended)
		}
	})
	t.Run("allow a user's own program", func(t *testing.T) {
		out := m.output()
		if got := m.ask(out, mine).exit(); got != (door.Exit{Code: 3}) || !strings.HasPrefix(printed(t, out), "root ") {
			t.Errorf("%+v, it printed %q", got, printed(t, out))
		}
		// What ran was a copy that its owner could not change.
		records, _ := m.recorded()
		if program := records[0].Program; program.Path != mine || program.Protected {
			t.Errorf("opened: %+v", program)
		}
	})
	t.Run("deny", func(t *testing.T) {
		out := m.output()
		if got := m.ask(out, "other").refused(); got.Code != door.CodeDenied || !strings.Contains(got.Message, "not this one") {
			t.Errorf("%+v", got)
		}
		if _, types := m.recorded(); types != "opened evaluating denied" || printed(t, out) != "" {
			t.Errorf("recorded: %s; it printed %q", types, printed(t, out))
		}
	})
	t.Run("justify", func(t *testing.T) {
		out := m.output()
		v := m.ask(out, "justified")
		v.answer(bin("justified"), door.Answer{Text: "the disk is full"})
		if got := v.exit(); got != (door.Exit{Code: 7}) || printed(t, out) != "root UserElevated justified" {
			t.Errorf("%+v, it printed %q", got, printed(t, out))
		}
		records, types := m.recorded()
		if want := "opened evaluating pending control allowed launching launched ended"; types != want {
			t.Fatalf("recorded: %s", types)
		}
		if reason := records[3]; reason.Message != "the disk is full" || !slices.Equal(reason.Controls, []core.Control{core.ControlJustify}) {
			t.Errorf("recorded as %+v", reason)
		}
	})
	t.Run("justify without a reason", func(t *testing.T) {
		v := m.ask(m.output(), "justified")
		v.answer(bin("justified"), door.Answer{Cancelled: true})
		if got := v.refused(); got.Code != door.CodeDenied {
			t.Errorf("%+v", got)
		}
		if _, types := m.recorded(); types != "opened evaluating pending denied" {
			t.Errorf("recorded: %s", types)
		}
	})
}
