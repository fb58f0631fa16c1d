package local

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/wire"
	"kpm/launcher"
)

// caller is one caller. Every write has a deadline, so that the service
// never waits for a caller who does not read.
type caller struct {
	conn  port.DoorConn
	write time.Duration // deadline of one frame

	ctx  context.Context
	gone context.CancelCauseFunc

	sending sync.Mutex

	mu       sync.Mutex
	asked    int // prompts sent
	answered int // answers received
	answers  chan door.Answer

	// running gives back what is the caller's until the command runs.
	running func()

	// waiting ends when the caller's request is not waited for any more.
	waiting     context.Context
	stopWaiting context.CancelCauseFunc

	deadline sync.Mutex
	given    bool // it is to end, for somebody else's sake

	once sync.Once
}

var _ launcher.Caller = (*caller)(nil)

func newCaller(ctx context.Context, conn port.DoorConn, write time.Duration) *caller {
	c := &caller{conn: conn, write: write, answers: make(chan door.Answer, 1), running: func() {}}
	c.waiting, c.stopWaiting = context.WithCancelCause(ctx)
	return c
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// giveUp ends the wait for the caller's request. It does not wait itself.
func (c *caller) giveUp() {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	c.given = true
	c.stopWaiting(errGivenUp)
	c.conn.SetReadDeadline(longAgo)
}

// readUntil sets the deadline of reads, unless the caller has been given up.
func (c *caller) readUntil(t time.Time) error {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if c.given {
		return errGivenUp
	}
	return c.conn.SetReadDeadline(t)
}

func (c *caller) close() {
	c.once.Do(func() {
		c.stopWaiting(nil)
		c.conn.Close()
	})
}

// listen turns the caller's further frames into signals and answers until the
// stream ends or breaks the rules, and returns why.
func (c *caller) listen(signals chan<- signal.Sent) error {
	r := &fileReader{conn: c.conn}
	defer r.closeFiles()
	for {
		kind, body, err := door.Read(r)
		if err != nil {
			return fmt.Errorf("%w: %w", errCallerGone, err)
		}
		switch kind {
		case door.TypeSignal:
			sig, err := door.DecodeSignal(body)
			if err != nil || !sig.Signal.Forwarded() {
				return fmt.Errorf("%w: signal %s may not be forwarded", errCallerGone, sig.Signal)
			}
			select {
			case signals <- sig:
			default: // 32 wait already: like the kernel, more of them add nothing
			}
		case door.TypeAnswer:
			answer, err := door.DecodeAnswer(body)
			if err != nil || !c.answer(answer) {
				return fmt.Errorf("%w: an answer without a question", errCallerGone)
			}
		default:
			return fmt.Errorf("%w: frame of type %d", errCallerGone, kind)
		}
	}
}

// answer delivers the reply to the prompt that it belongs to: each prompt has
// one, in order. A late reply to a prompt that has timed out is dropped; a
// reply to nothing breaks the rules.
func (c *caller) answer(a door.Answer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered == c.asked {
		return false
	}
	c.answered++
	if c.answered == c.asked {
		c.answers <- a // has room: one reply per prompt, and Prompt drains it
	}
	return true
}

// Prompt asks the person and waits for the answer. It returns
// core.ErrCancelled when they declined, context.DeadlineExceeded when they
// took longer than timeout, or why the caller is gone.
func (c *caller) Prompt(ctx context.Context, p launcher.Prompt, timeout time.Duration) (string, error) {
	c.mu.Lock()
	c.asked++
	select {
	case <-c.answers: // to a prompt that nobody waits for any more
	default:
	}
	c.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	body := door.Prompt{Text: wire.Printable(p.Text), Secret: p.Secret, TimeoutSeconds: uint32(timeout / time.Second)}.Encode()
	if err := c.send(door.TypePrompt, body); err != nil {
		return "", err
	}
	select {
	case a := <-c.answers:
		if a.Cancelled {
			return "", core.ErrCancelled
		}
		return a.Text, nil
	case <-timer.C:
		return "", fmt.Errorf("api: local: prompt: %w", context.DeadlineExceeded)
	case <-ctx.Done():
		return "", fmt.Errorf("api: local: prompt: %w", context.Cause(ctx))
	case <-c.ctx.Done():
		return "", fmt.Errorf("api: local: prompt: %w", context.Cause(c.ctx))
	}
}

// Tell shows the person a text.
func (c *caller) Tell(text string) error {
	return c.send(door.TypeNotice, door.Notice{Text: wire.PrintableLine(text)}.Encode())
}

// HandOver gives the caller what belongs to the command's terminals.
func (c *caller) HandOver(terminals ...*os.File) error {
	return c.send(door.TypeTerminal, nil, terminals...)
}

// Started tells the caller that the command runs.
func (c *caller) Started() error {
	c.running()
	return c.send(door.TypeStarted, nil)
}

// finish sends the one final frame, unless the next service will.
func (c *caller) finish(result launcher.Result) error {
	if result.Later {
		return nil
	}
	if result.Again {
		return c.send(door.TypeAgain, nil)
	}
	if result.Refused != nil {
		return c.send(door.TypeRefused, door.Refused(*result.Refused).Encode())
	}
	if result.Listing != "" || result.Done {
		return c.send(door.TypeListing, door.Listing{Text: result.Listing, Denied: result.Denied}.Encode())
	}
	return c.send(door.TypeExit, door.Exit{
		Code: uint32(result.Exit.Code), Signal: uint32(result.Exit.Signal)}.Encode())
}

// refuse sends a final Refused to a caller for whom nothing was begun, and
// closes.
func (c *caller) refuse(code, message string) {
	_ = c.send(door.TypeRefused, door.Refused{Code: code, Message: wire.PrintableLine(message)}.Encode())
	c.close()
}

// send writes one frame. A caller who does not take it in time is gone.
func (c *caller) send(kind door.Type, body []byte, files ...*os.File) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	err := c.conn.SetWriteDeadline(time.Now().Add(c.write))
	if err == nil {
		err = c.conn.WriteWithFiles(door.Append(nil, kind, body), files...)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", errCallerGone, err)
	if c.gone != nil {
		c.gone(err)
	}
	return err
}
