package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"kpm/core/port"
	"kpm/core/wire"
)

// Errors of a verdict that there is none of. In each case the reader is ended.
var (
	// ErrEnded: the reader ended before it answered: it crashed, or reached one
	// of its bounds.
	ErrEnded = errors.New("the reader ended without an answer")
	// ErrLate: it took longer than a verdict may.
	ErrLate = errors.New("the reader did not answer in time")
	// ErrAnswer: what it said is not an answer to the question.
	ErrAnswer = errors.New("the reader's answer is not one")
	// ErrUnread: the file, or something beside it, could not be read. This is
	// the reader's own answer.
	ErrUnread = errors.New("it cannot be read")
)

// errGone means that a reader had ended before it was asked anything.
var errGone = fmt.Errorf("%w: it had ended before it was asked", ErrEnded)

// process is one reader.
type process struct {
	confined port.Confined
	busy     time.Duration // it has been working so long
}

// begin tells a new reader whom to trust. The error is what the reader found
// wrong with a source, or one of those above.
func (p *process) begin(ctx context.Context, bundle []byte) error {
	kind, body, err := p.exchange(ctx, bundle, nil)
	switch {
	case err != nil:
		return err
	case kind == kindAccepted && len(body) == 0:
		return nil
	case kind == kindFault:
		return errors.New(sentence(body))
	}
	return ErrAnswer
}

// ask has it judge a file.
func (p *process) ask(ctx context.Context, question []byte, q *Question, f *os.File) (Verdict, error) {
	began := time.Now()
	kind, body, err := p.exchange(ctx, question, f)
	p.busy += time.Since(began)
	switch {
	case err != nil:
		return Verdict{}, err
	case kind == kindFault:
		return Verdict{}, fmt.Errorf("%w: %s", ErrUnread, sentence(body))
	case kind != kindVerdict:
		return Verdict{}, ErrAnswer
	}
	v, err := decodeVerdict(body)
	if err == nil {
		err = v.answers(q)
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return v, nil
}

// exchange sends a message and receives one, until ctx is done.
func (p *process) exchange(ctx context.Context, message []byte, f *os.File) (kind byte, body []byte, err error) {
	stop := context.AfterFunc(ctx, func() { p.confined.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := p.confined.Send(message, f); err != nil {
		if ctx.Err() != nil {
			return 0, nil, late(ctx)
		}
		return 0, nil, errGone
	}
	kind, body, err = p.receive()
	switch {
	case err == nil:
		return kind, body, nil
	case errors.Is(err, errMalformed):
		return 0, nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	case ctx.Err() != nil:
		return 0, nil, late(ctx)
	}
	return 0, nil, ErrEnded
}

// late says whether somebody gave up or the reader took too long.
func late(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrLate) {
		return cause
	}
	return ctx.Err()
}

func (p *process) receive() (kind byte, body []byte, err error) {
	var head [headSize]byte
	if _, err := io.ReadFull(p.confined, head[:]); err != nil {
		return 0, nil, err
	}
	size, kind, err := unpackHead(head, maxVerdict)
	if err != nil {
		return 0, nil, err
	}
	body, err = readBody(p.confined, size)
	return kind, body, err
}

// sentence is what a reader says in its own words.
func sentence(body []byte) string { return wire.Printable(string(body[:min(len(body), maxText)])) }
