package keeperpolicy

import (
	"runtime"

	"kpm/core"
	"kpm/core/wire"
)

// Ahead is what is done while the plugin is still being connected: nobody is decided
// about before it is there, and it waits for the agent meanwhile.
type Ahead struct{ read chan *reading }

// Begin reads the policy files. Whoever runs the plugin with the result is the only one
// to take it.
func Begin(cfg Config) *Ahead {
	a := &Ahead{read: make(chan *reading, 1)}
	go func() {
		// With one processor: whoever connects meanwhile comes first, and waits for the
		// agent when this goes on.
		runtime.Gosched()
		r := newReading(cfg)
		r.read(cfg)
		a.read <- r
		runtime.Gosched()
		rehearse(cfg)
	}()
	return a
}

// rehearse answers a question of nobody's to nobody. What a first answer takes longer
// than a second one, because encoding/json gets to know the types, is so done before
// somebody waits.
func rehearse(cfg Config) {
	question, err := wire.New(wire.TypePolicyRequest, core.ServicePrincipal().String(), wire.Probe())
	if err != nil {
		return
	}
	text, err := question.Encode()
	if err != nil {
		return
	}
	if question, err = wire.Decode(text); err != nil {
		return
	}
	_, response, _ := (&engine{cfg: cfg}).begin(question)
	if answer, err := wire.New(wire.TypePolicyResponse, wire.PolicyPlugin, response); err == nil {
		_, _ = answer.Encode() // to nobody
	}
}
