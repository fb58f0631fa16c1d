package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"kpm/core/port"
)

// Judge reads the signatures of files.
type Judge interface {
	// Verdict judges content, of which q.Size bytes count. An error means that
	// the bytes, or what is known beside them, could not be read.
	Verdict(ctx context.Context, content io.ReaderAt, q *Question) (Verdict, error)
}

// MakeJudge returns a Judge that trusts whom b names, or says which source
// cannot be understood. The Judge asks now for the time.
type MakeJudge func(b *Bundle, now func() time.Time) (Judge, error)

var errOutOfStep = errors.New("the service is out of step")

// Serve is the whole work of a reader: whom to trust, then one file after the
// other until the service is gone, which is no error.
func Serve(service port.Confinement, make MakeJudge) error {
	s := server{service: service}
	judge, err := s.begin(make)
	for err == nil {
		err = s.next(judge)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

type server struct {
	service port.Confinement
	now     time.Time // of the question at hand
}

// begin takes in whom to trust.
func (s *server) begin(make MakeJudge) (Judge, error) {
	body, file, err := s.receive(kindBundle)
	if err != nil {
		return nil, err
	}
	if file != nil {
		file.Close()
		return nil, errOutOfStep
	}
	b, err := decodeBundle(body)
	if err != nil {
		return nil, err
	}
	judge, err := make(b, func() time.Time { return s.now })
	if err != nil {
		return nil, errors.Join(err, s.answer(kindFault, []byte(clean(err.Error()))))
	}
	return judge, s.answer(kindAccepted, nil)
}

// next answers one question.
func (s *server) next(judge Judge) error {
	body, file, err := s.receive(kindQuestion)
	if err != nil {
		return err
	}
	if file == nil {
		return errOutOfStep
	}
	defer file.Close()
	q, err := decodeQuestion(body)
	if err != nil {
		return err
	}
	s.now = q.Now
	// Nobody cancels: the service ends who takes too long.
	v, err := judge.Verdict(context.Background(), file, &q)
	if err != nil {
		return s.answer(kindFault, []byte(clean(err.Error())))
	}
	encoded := v.encode()
	// What the service would refuse must not look like the work of somebody
	// who has taken this process over.
	if _, err := decodeVerdict(encoded); err != nil || len(encoded) > maxVerdict {
		return s.answer(kindFault, []byte(clean(fmt.Sprintf("there is more about its signatures than is reported: %d pieces of evidence, %d bytes: %v", len(v.Evidence), len(encoded), err))))
	}
	return s.answer(kindVerdict, encoded)
}

func (s *server) answer(kind byte, body []byte) error {
	_, err := s.service.Write(pack(kind, body))
	return err
}

// receive returns the body of a message of a kind, and the file that came with
// its first byte. io.EOF means that the service has closed the connection
// between two messages.
func (s *server) receive(kind byte) ([]byte, port.HandedFile, error) {
	var head [headSize]byte
	n, file, err := s.service.Receive(head[:])
	if err != nil {
		return nil, nil, err
	}
	body, err := s.rest(head, n, kind)
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, nil, err
	}
	return body, file, nil
}

// rest reads what follows the first n bytes of a head.
func (s *server) rest(head [headSize]byte, n int, kind byte) ([]byte, error) {
	in := plain{s.service}
	if _, err := io.ReadFull(in, head[n:]); err != nil {
		return nil, fmt.Errorf("%w: %w", errOutOfStep, err)
	}
	size, got, err := unpackHead(head, maxMessage)
	if err != nil {
		return nil, err
	}
	if got != kind {
		return nil, errOutOfStep
	}
	body, err := readBody(in, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOutOfStep, err)
	}
	return body, nil
}

// plain reads bytes with which no file comes.
type plain struct{ port.Confinement }

// Read implements io.Reader.
func (p plain) Read(b []byte) (int, error) {
	n, file, err := p.Receive(b)
	if file != nil {
		file.Close()
		return 0, errOutOfStep
	}
	return n, err
}
