package api

import (
	"net/http"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// Notices are what people are to hear about what they have asked for.
type Notices interface {
	// Listen returns those of one user from now on, until stop is called or there are no
	// more. The error is of kind TooMany.
	Listen(user core.UserID) (said <-chan view.Notice, stop func(), err error)
}

func noticeOperations(notices Notices) group {
	h := noticeHandlers{notices}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/notices", access: userTier, handle: h.listen,
			id: "notices", summary: "What the caller is to hear, as it happens",
			description: "Server-sent events, from now on; each is a Notice, and its name the notice's kind: what has become of an approval that the caller has asked for, that one, or a grant, is about to end, that they are an administrator of the machine no longer, again, or for a time, and which program they were kept from starting, by which policy, and what to do about it. Where nothing happens a comment is sent every 15 seconds.",
			answer:      answer{status: http.StatusOK, description: "Events until the caller goes", schema: `{"type": "string"}`, contentType: eventStream},
			problems:    []int{http.StatusTooManyRequests},
		}},
	}
}

type noticeHandlers struct{ notices Notices }

func (h noticeHandlers) listen(c *call) (any, error) {
	if c.who.User == "" {
		return nil, problem(codeNotPermitted, "notices are for people")
	}
	said, stop, err := h.notices.Listen(c.who.User)
	if err != nil {
		return nil, err
	}
	return stream(func(send func(name string, data any) error, alive <-chan time.Time, closing <-chan struct{}) error {
		defer stop()
		if err := send("", nil); err != nil { // whoever reads it knows that nothing is missed
			return err
		}
		return relay(c, said, func(e view.Notice) string { return e.Kind }, send, alive, closing)
	}), nil
}
