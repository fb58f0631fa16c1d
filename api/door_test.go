package api_test

import (
	"net"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/port"
)

// emptyDoor is a local door that nobody comes to.
type emptyDoor struct {
	done chan struct{}
	once sync.Once
}

func (d *emptyDoor) Screen(func(core.UserID) []byte) {}

func (d *emptyDoor) Accept() (port.DoorConn, error) {
	<-d.done
	return nil, net.ErrClosed
}

func (d *emptyDoor) Close() error {
	d.once.Do(func() { close(d.done) })
	return nil
}

// What a door does with callers, api/local tests.
func TestTheServerClosesItsDoor(t *testing.T) {
	p := newPlace(t)
	d := &emptyDoor{done: make(chan struct{})}
	if err := p.server.ServeDoor(d); err != nil {
		t.Fatal(err)
	}
	p.close()
	<-d.done
	if err := p.server.ServeDoor(d); err == nil {
		t.Error("a closed server serves a door")
	}
}
