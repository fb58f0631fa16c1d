package approval

import (
	"errors"
	"testing"
)

// An approval of access to a file is used up by its id, once and only once it is given;
// one of a command never is, and a request for the other kind does not find it.
func TestAnApprovalOfAFile(t *testing.T) {
	d := newDesk(t)
	command, file := want("1000"), want("1000")
	file.Kind = FileAccess
	if command.same(&file) {
		t.Error("a command's approval would do for a file")
	}
	asked := d.ask(t, file)
	if _, err := d.UseFile(asked.ID); !errors.Is(err, ErrConflict) {
		t.Errorf("before it is given: %v", err)
	}
	if _, err := d.Approve(asked.ID, Person{User: "0", Name: "root", Administrator: true}, "", 0); err != nil {
		t.Fatal(err)
	}
	other := d.ask(t, command)
	if _, err := d.Approve(other.ID, Person{User: "0", Name: "root", Administrator: true}, "", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := d.UseFile(other.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("a command's: %v", err)
	}
	d.restart(t)
	if r, err := d.UseFile(asked.ID); err != nil || r.State != Used || r.Want.Kind != FileAccess {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := d.UseFile(asked.ID); !errors.Is(err, ErrConflict) {
		t.Errorf("twice: %v", err)
	}
	if _, err := d.UseFile("AAAA-AAAA"); !errors.Is(err, ErrUnknown) {
		t.Errorf("none: %v", err)
	}
}
