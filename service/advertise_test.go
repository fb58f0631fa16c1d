package service

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/settings"
)

// slowly is a disk on which every write takes its time, the first the longest.
type slowly struct {
	port.Files
	mu     sync.Mutex
	writes int
	last   settings.Ports
}

func (d *slowly) WriteAtomic(_ string, data []byte, _ os.FileMode) error {
	d.mu.Lock()
	d.writes++
	takes := 50 * time.Millisecond / time.Duration(d.writes)
	d.mu.Unlock()
	time.Sleep(takes)
	d.mu.Lock()
	defer d.mu.Unlock()
	return json.Unmarshal(data, &d.last)
}

func TestPortsThatAreAcquiredAtOnce(t *testing.T) {
	layout := settings.At(t.TempDir(), "")
	if err := os.Mkdir(layout.Run(), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	disk := &slowly{}
	s := &service{
		layout: layout, app: settings.Default(), effective: settings.NewEffective(layout),
		host: port.Host{Files: disk, Tree: nobody{}}, http: &tcpPort{}, https: &tcpPort{}, mqtt: &tcpPort{},
	}
	s.isReady.Store(true)
	var both sync.WaitGroup
	for _, p := range []*tcpPort{s.https, s.mqtt} {
		both.Go(func() {
			p.held.Store(4711)
			s.acquired()
		})
		time.Sleep(5 * time.Millisecond) // the second finds the first writing
	}
	both.Wait()
	if disk.last.HTTPS != 4711 || disk.last.MQTT != 4711 {
		t.Errorf("advertised are %+v", disk.last)
	}
}

// nobody is a process tree with nobody in it but us.
type nobody struct{ port.ProcessTree }

func (nobody) Self() core.ProcessID { return core.ProcessID{PID: 1} }
