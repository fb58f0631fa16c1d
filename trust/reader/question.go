package reader

import (
	"fmt"
	"math"
	"time"
)

// Bounds of a question.
const (
	maxQuestion  = 2 << 20 // bytes, encoded
	maxSignature = 64 << 10
	maxDetached  = 2
)

// Question is what the service knows and a reader needs, beside the file.
type Question struct {
	// Size is how many bytes of the file count.
	Size int64
	// Now is when signatures and certificates must be valid.
	Now time.Time
	// Facts are what the operating system says of the file.
	Facts Facts
	// Detached are signatures of at most 64 KiB that lie beside the file, at
	// most two.
	Detached [][]byte
	// Protected says that an administrator alone can change the file. It is not
	// told to the reader: it is whether the reader may read another file after.
	Protected bool
}

// encode makes the message.
func (q *Question) encode() ([]byte, error) {
	e := &encoder{}
	e.number(uint64(q.Size))
	e.time(q.Now)
	q.Facts.encode(e)
	e.number(uint64(len(q.Detached)))
	for _, signature := range q.Detached {
		e.bytes(signature)
	}
	// What it cannot take the reader would take for a broken message.
	if _, err := decodeQuestion(e.b); err != nil {
		return nil, fmt.Errorf("what is known of the file is too much: %w", err)
	}
	return e.b, nil
}

func decodeQuestion(message []byte) (Question, error) {
	d := &decoder{b: message}
	q := Question{Size: int64(d.number(math.MaxInt64)), Now: d.time()}
	q.Facts = decodeFacts(d)
	for range d.count(maxDetached) {
		q.Detached = append(q.Detached, d.bytes(maxSignature))
	}
	return q, d.end()
}
