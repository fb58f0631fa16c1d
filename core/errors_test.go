package core_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"kpm/core"
)

// typed is an error type that knows its kind.
type typed struct{ size int }

func (t typed) Error() string             { return fmt.Sprintf("%d bytes", t.size) }
func (t typed) ErrorKind() core.ErrorKind { return core.TooLarge }

func TestKindsAreFoundThroughWrapping(t *testing.T) {
	sentinel := core.NewError(core.Conflict, "it runs already")
	for _, c := range []struct {
		err  error
		want core.ErrorKind
	}{
		{nil, core.Internal},
		{errors.New("disk on fire"), core.Internal},
		{fmt.Errorf("plugins: %w", fs.ErrNotExist), core.Internal},
		{sentinel, core.Conflict},
		{fmt.Errorf("plugins: start: %w", sentinel), core.Conflict},
		{errors.Join(errors.New("and"), fmt.Errorf("deep: %w", sentinel)), core.Conflict},
		{fmt.Errorf("%w: %w", sentinel, core.ErrNoAccount), core.Conflict},
		{fmt.Errorf("body: %w", typed{7}), core.TooLarge},
		{fmt.Errorf("terminal: %w", errors.ErrUnsupported), core.Unsupported},
		{fmt.Errorf("launch: %w", core.WithKind(core.Internal, fmt.Errorf("account: %w", core.ErrNoAccount))), core.Internal},
		{core.WithKind(core.Invalid, errors.New("no such day")), core.Invalid},
		{core.ErrNotProtected, core.NotPermitted},
		{core.ErrNotRegular, core.Invalid},
		{core.ErrNoAccount, core.NotFound},
	} {
		if got := core.KindOf(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}

func TestSentinelsAreThemselves(t *testing.T) {
	one, two := core.NewError(core.NotFound, "no such thing"), core.NewError(core.NotFound, "no such thing")
	if errors.Is(one, two) {
		t.Error("two errors of one text are one")
	}
	if other := core.WithKind(core.Internal, one); !errors.Is(other, one) || other.Error() != one.Error() {
		t.Errorf("%v of another kind is another error", one)
	}
	if wrapped := fmt.Errorf("find: %w", one); !errors.Is(wrapped, one) || wrapped.Error() != "find: no such thing" {
		t.Errorf("%v is not what it wraps", wrapped)
	}
}

func TestWorded(t *testing.T) {
	err := fmt.Errorf("open: %w", core.Worded(core.ErrNotProtected, "/x has mode 0666"))
	if err.Error() != "open: /x has mode 0666" || !errors.Is(err, core.ErrNotProtected) || core.KindOf(err) != core.NotPermitted {
		t.Errorf("%v is of kind %v", err, core.KindOf(err))
	}
}
