package broker

import (
	"testing"

	"kpm/core"
)

// Whose process has started before its turn waits for it, and nobody else does. What
// has ended meanwhile is not let in.
func TestClientsWaitForTheirTurn(t *testing.T) {
	for _, tc := range []struct {
		name string
		ends bool
		want byte
	}{{"it comes", false, 0}, {"it has ended by then", true, 5}} {
		t.Run(tc.name, func(t *testing.T) {
			turn, asked := make(chan struct{}), make(chan struct{}, 1)
			var w *world
			b := newBus(t, func(cfg *Config) {
				w = cfg.Registry.(*world)
				cfg.Turn = func(p core.Principal) <-chan struct{} {
					if p != policy.Principal {
						return nil
					}
					asked <- struct{}{}
					return turn
				}
			})
			answer := make(chan byte, 1)
			early := newRaw(t, b.dial(policy), 4)
			go func() { answer <- early.connect(connecting{id: policy.id()}) }()
			receive(t, "who is asked about", asked)
			if got := newRaw(t, b.dial(logger), 4).connect(connecting{id: logger.id()}); got != 0 {
				t.Errorf("another one: CONNACK %#x", got)
			}
			if s := b.Stats(); s.Admitted != 1 {
				t.Errorf("before the turn: %+v", s)
			}
			if tc.ends {
				w.end(policy.Principal)
			}
			close(turn)
			if got := receive(t, "the answer", answer); got != tc.want {
				t.Errorf("CONNACK %#x, want %#x", got, tc.want)
			}
		})
	}
}

// Nobody's turn keeps the broker from closing.
func TestABrokerClosesBeforeSomebodysTurn(t *testing.T) {
	asked := make(chan struct{}, 1)
	b := newBus(t, func(cfg *Config) {
		cfg.Turn = func(core.Principal) <-chan struct{} {
			asked <- struct{}{}
			return make(chan struct{})
		}
	})
	early := newRaw(t, b.dial(policy), 4)
	early.send(connecting{id: policy.id()}.encode(4))
	receive(t, "who is asked about", asked)
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
