package task

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// value returns what a token stands for at one kind of place.
type value = func(token string) (string, error)

// Argument fills a place in argv, which cannot hold a NUL.
func Argument(r Run) value {
	return func(token string) (string, error) {
		s, err := r.Value(token)
		if err == nil && strings.ContainsRune(s, 0) {
			err = fmt.Errorf("{%s} holds a NUL character", token)
		}
		return s, err
	}
}

// JSON fills a place inside a JSON string: whatever the value holds, it stays
// inside its quotes.
func JSON(r Run) value {
	return func(token string) (string, error) {
		s, err := r.Value(token)
		if err != nil {
			return "", err
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			return "", err
		}
		return string(quoted[1 : len(quoted)-1]), nil
	}
}

// Query fills a place in the query of a URL, where the value is one word.
func Query(r Run) value {
	return func(token string) (string, error) {
		s, err := r.Value(token)
		return url.QueryEscape(s), err
	}
}
