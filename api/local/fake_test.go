package local_test

import (
	"errors"
	"os"
	"testing"

	"kpm/core"
	"kpm/core/door"
	"kpm/platform/fake"
)

// doorQueue is a door at which tests put callers.
type doorQueue struct{ *fake.Door }

func newDoorQueue() *doorQueue { return &doorQueue{fake.NewDoor()} }

// doorPipe is a caller's end of a connection.
type doorPipe struct{ *fake.DoorConn }

// connect puts a caller at the door and returns the caller's end.
func (q *doorQueue) connect(t testing.TB, peer core.Peer, err error) *doorPipe {
	t.Helper()
	caller, err := q.Connect(peer, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { caller.Close() })
	return &doorPipe{caller}
}

// send writes one frame.
func (p *doorPipe) send(t testing.TB, kind door.Type, body []byte, files ...*os.File) {
	t.Helper()
	if err := p.WriteWithFiles(door.Append(nil, kind, body), files...); err != nil {
		t.Error(err)
	}
}

// collecting keeps the descriptors that come with what is read.
type collecting struct {
	pipe  *doorPipe
	files []*os.File
}

func (r *collecting) Read(b []byte) (int, error) {
	n, files, err := r.pipe.ReadWithFiles(b)
	r.files = append(r.files, files...)
	return n, err
}

// receive reads one frame and the descriptors that came with it.
func (p *doorPipe) receive(t testing.TB) (door.Type, []byte, []*os.File) {
	t.Helper()
	r := &collecting{pipe: p}
	kind, body, err := door.Read(r)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return kind, body, r.files
}

// final reads the last frame, and that nothing follows it.
func (p *doorPipe) final(t testing.TB) any {
	t.Helper()
	kind, body, files := p.receive(t)
	if len(files) != 0 {
		t.Errorf("the final frame carries %d descriptors", len(files))
	}
	if _, _, err := door.Read(p); err == nil {
		t.Error("a frame follows the final one")
	}
	switch kind {
	case door.TypeExit:
		exit, err := door.DecodeExit(body)
		return orError(t, exit, err)
	case door.TypeRefused:
		refused, err := door.DecodeRefused(body)
		return orError(t, refused, err)
	}
	return errors.New("not a final frame")
}

func orError[T any](t testing.TB, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return value
}
