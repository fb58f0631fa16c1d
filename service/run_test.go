package service_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/platform/fake"
	"kpm/service"
	"kpm/settings"
)

func (m *machine) ports() (settings.Ports, error) {
	var p settings.Ports
	data, err := os.ReadFile(m.layout.Ports())
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	return p, err
}

// The service manager starts what needs this service when it is told: by then
// everything is there.
func TestReadyAndStopping(t *testing.T) {
	m := boot(t)
	ports, err := m.ports()
	if err != nil || ports.HTTP == 0 || ports.HTTPS == 0 || ports.MQTT == 0 || ports.Door != m.layout.Door() || ports.PID != os.Getpid() {
		t.Errorf("ready with %+v, %v", ports, err)
	}
	m.stop()
	m.told("stopping")
	if _, err := m.ports(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it has stopped, and its ports are there: %v", err)
	}
}

// manager is one that cannot be told anything.
type manager struct{ *fake.ServiceManager }

func (m manager) Ready() error    { return errors.Join(m.ServiceManager.Ready(), errors.New("no answer")) }
func (m manager) Stopping() error { return errors.New("no answer") }

// What an administrator could give the machine is in the log as it is by default.
func TestWhatTheMachineLacks(t *testing.T) {
	m := install(t)
	m.write(m.layout.AppSettings(), `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0}, "Trust": {"Plugins": "off"}}`)
	m.start(func(host *port.Host) { host.Facts.Notes = []string{"it has no cellar; dig one"} })
	log, err := os.ReadFile(m.logPath())
	if err != nil || !strings.Contains(string(log), `msg="this machine lacks something" what="it has no cellar; dig one"`) {
		t.Errorf("%v: %s", err, log)
	}
}

func TestAServiceManagerThatCannotBeTold(t *testing.T) {
	m := install(t)
	m.start(func(h *port.Host) { h.Service = manager{m.Service} })
	m.install(m.bin("allowed"), report(0))
	if got := m.ask(m.output(), "allowed").exit(); got != (door.Exit{}) {
		t.Errorf("%+v", got)
	}
	m.stop()
	for _, state := range []string{"ready", "stopping"} {
		if want := `msg="the service manager was not told" state=` + state + ` error="no answer"`; !strings.Contains(m.log(), want) {
			t.Errorf("the log lacks %q:\n%s", want, m.log())
		}
	}
}

// What people have started goes on when the service stops, and they are told so.
func TestACommandThatRunsOn(t *testing.T) {
	m := boot(t)
	end := make(chan struct{})
	m.install(m.bin("allowed"), func(context.Context, *fake.Process) core.ExitStatus {
		<-end
		return core.ExitStatus{}
	})
	v := m.ask(m.output(), "allowed")
	v.frame(door.TypeStarted)
	m.stop()
	close(end)
	if got := v.refused(); got.Code != door.CodeFailed || !strings.Contains(got.Message, "your command goes on as process") {
		t.Errorf("%+v", got)
	}
	if _, types := m.recorded(); types != "opened evaluating allowed launching launched ended left" {
		t.Errorf("recorded: %s", types)
	}
}

// Two services with one root would each launch what the other was asked for.
func TestASecondServiceOnTheRoot(t *testing.T) {
	m := boot(t)
	err := service.Run(t.Context(), options(m, m.Host(), io.Discard))
	if err == nil || !strings.Contains(err.Error(), "in use by another service") {
		t.Errorf("%v", err)
	}
	if _, err := m.ports(); err != nil {
		t.Errorf("the first is not to be found any more: %v", err)
	}
	m.install(m.bin("allowed"), report(0))
	if got := m.ask(m.output(), "allowed").exit(); got != (door.Exit{}) {
		t.Errorf("the first: %+v", got)
	}
}

// What cannot be understood at all stops the service, which leaves nothing
// behind: no goroutine (see TestMain), no lock, and no port that it advertises.
func TestWhatStopsTheService(t *testing.T) {
	broken := errors.New("the port does not work")
	for name, tc := range map[string]struct {
		spoil  func(*machine)
		change func(*port.Host)
		says   string
	}{
		"settings that are no JSON": {spoil: func(m *machine) { m.write(m.layout.AppSettings(), "{") }, says: "appsettings.json"},
		"whom to trust is missing": {
			spoil: func(m *machine) {
				m.write(m.layout.AppSettings(), `{"Trust": {"Roots": ["none.pem"]}}`)
			}, says: "Trust:Roots"},
		"state of a newer version": {spoil: func(m *machine) {
			m.write(filepath.Join(m.layout.State(), "format"), `{"format": 99, "by": "9.9.9"}`)
		}, says: "install 9.9.9 or a newer one"},
		"a directory that is a file": {spoil: func(m *machine) { m.write(m.layout.Audit(), "") }, says: "is not a directory"},
		"a history of jobs that can be neither opened nor moved": {spoil: func(m *machine) {
			// In whichever of the next seconds that is.
			for second := range 120 {
				m.write(filepath.Join(fmt.Sprintf("%s.broken-%d", m.layout.JobHistory(), time.Now().Unix()+int64(second)), "full"), "")
			}
			m.write(filepath.Join(m.layout.JobHistory(), "full"), "")
		}, says: "history"},
		"no local socket": {change: func(h *port.Host) { h.Transport = deaf{h.Transport, broken} }, says: broken.Error()},
		"no door":         {change: func(h *port.Host) { h.Transport = doorless{h.Transport, broken} }, says: broken.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			m := install(t)
			if tc.spoil != nil {
				tc.spoil(m)
			}
			host, closed := m.Host(), false
			host.Close = func() error {
				closed = true
				return nil
			}
			if tc.change != nil {
				tc.change(&host)
			}
			err := service.Run(t.Context(), options(m, host, io.Discard))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, expected something about %s", err, tc.says)
			}
			if !closed {
				t.Error("the ports are still open")
			}
			if _, err := m.ports(); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("its ports: %v", err)
			}
			lock, err := m.Files.Lock(m.layout.Lock())
			if err != nil {
				t.Errorf("the root is still in use: %v", err)
			} else {
				lock.Close()
			}
			if len(m.Service.Told) != 0 {
				t.Errorf("the service manager was told %q", <-m.Service.Told)
			}
		})
	}
}

// A start that fails late leaves the history of jobs alone, if nobody has needed it.
func TestAHistoryThatNobodyNeeds(t *testing.T) {
	m := boot(t)
	m.stop()
	if err := os.Remove(m.layout.JobHistory()); err != nil {
		t.Fatal(err)
	}
	host, broken := m.Host(), errors.New("no space left on device")
	host.Files = unreplaceable{host.Files, m.layout.Ports(), broken}
	if err := service.Run(t.Context(), options(m, host, io.Discard)); !errors.Is(err, broken) {
		t.Errorf("%v, expected %v", err, broken)
	}
	if info, err := os.Stat(m.layout.JobHistory()); err != nil || info.Size() > 0 {
		t.Errorf("the history: %v, %v", info, err)
	}
}

// unreplaceable cannot replace one file.
type unreplaceable struct {
	port.Files
	path string
	err  error
}

func (f unreplaceable) Replace(path string, data []byte, perm os.FileMode) error {
	if path == f.path {
		return f.err
	}
	return f.Files.Replace(path, data, perm)
}

func TestPortsThatDoNotOpen(t *testing.T) {
	m, broken := install(t), errors.New("the helper is missing")
	o := options(m, m.Host(), io.Discard)
	o.Ports = func() (port.Host, error) { return port.Host{}, broken }
	if err := service.Run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("%v, expected %v", err, broken)
	}
	lock, err := m.Files.Lock(m.layout.Lock())
	if err != nil {
		t.Fatalf("the root is still in use: %v", err)
	}
	lock.Close()
}

// A plugin that ends is started again, and a request that comes meanwhile waits
// for it.
func TestAPolicyPluginThatEnds(t *testing.T) {
	m := install(t)
	running := make(chan *fake.Process, 8)
	m.install(filepath.Join(m.layout.Plugins(), "bin", "KeeperPolicy"), func(ctx context.Context, p *fake.Process) core.ExitStatus {
		running <- p
		return keeperPolicy(ctx, p)
	})
	m.start()
	m.install(m.bin("allowed"), report(0))
	first := <-running
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.ask(m.output(), "allowed").exit(); got != (door.Exit{}) {
		t.Errorf("%+v", got)
	}
	if second := <-running; second.ID() == first.ID() {
		t.Error("it is the same process")
	}
}

// get asks the API on its local socket.
func (m *machine) get(user core.UserID, path string) (*http.Response, string) {
	m.t.Helper()
	conn, err := m.Transport.Connect(m.layout.APISocket(), m.Launcher.Client(user))
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close()
	request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil)
	if err == nil {
		request.Close = true
		err = request.Write(conn)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		m.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return response, string(body)
}

// Who asks is told apart by the operating system's word alone.
func TestTheAPIKnowsWhoAsks(t *testing.T) {
	m := boot(t)
	response, body := m.get(fake.Administrator, "/api/plugins")
	var list []view.Plugin
	if err := json.Unmarshal([]byte(body), &list); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", response.Status, body, err)
	}
	states := map[string]view.PluginState{}
	for _, p := range list {
		states[p.ID] = p.Status
	}
	if states["KeeperPolicy"] != view.Healthy || states["KeeperLogger"] != view.Stopped {
		t.Errorf("%v", states)
	}
	if response, body := m.get("1000", "/api/plugins"); response.StatusCode != http.StatusForbidden {
		t.Errorf("a user is told %s: %s", response.Status, body)
	}
	if response, body := m.get("1000", "/health"); response.StatusCode != http.StatusOK {
		t.Errorf("health: %s: %s", response.Status, body)
	}
}

// deaf is a transport without local sockets, doorless one without a door.
type (
	deaf struct {
		port.LocalTransport
		err error
	}
	doorless deaf
)

func (d deaf) ListenLocal(string) (net.Listener, error) { return nil, d.err }

func (d doorless) ListenDoor(string) (port.DoorListener, error) { return nil, d.err }
