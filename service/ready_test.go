package service

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/settings"
)

// slowly is a disk on which the first write waits until it may end, and says
// that it has begun.
type slowly struct {
	port.Files
	mu         sync.Mutex
	writes     int
	begun, end chan struct{}
	last       settings.Ports
}

func (d *slowly) Replace(_ string, data []byte, _ os.FileMode) error {
	d.mu.Lock()
	d.writes++
	first := d.writes == 1
	d.mu.Unlock()
	if first {
		close(d.begun)
		<-d.end
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return json.Unmarshal(data, &d.last)
}

func TestPortsThatAreAcquiredAtOnce(t *testing.T) {
	layout := settings.At(t.TempDir(), "")
	if err := os.Mkdir(layout.Run(), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	disk := &slowly{begun: make(chan struct{}), end: make(chan struct{})}
	s := &service{
		layout: layout, app: settings.Default(), effective: settings.NewEffective(layout),
		host: port.Host{Files: disk, Tree: nobody{}}, http: &tcpPort{}, https: &tcpPort{}, mqtt: &tcpPort{},
	}
	s.isReady.Store(true)
	var both sync.WaitGroup
	both.Go(func() {
		s.https.held.Store(4711)
		s.acquired()
	})
	<-disk.begun
	both.Go(func() {
		s.mqtt.held.Store(4711) // after the first has looked
		s.acquired()
	})
	// Nobody looks and writes until the first has written: the second, started
	// or not, cannot overtake it.
	if s.advertising.TryLock() {
		t.Error("two may write at once")
	}
	close(disk.end)
	both.Wait()
	if disk.last.HTTPS != 4711 || disk.last.MQTT != 4711 {
		t.Errorf("advertised are %+v", disk.last)
	}
}

// nobody is a process tree with nobody in it but us.
type nobody struct{ port.ProcessTree }

func (nobody) Self() core.ProcessID { return core.ProcessID{PID: 1} }
