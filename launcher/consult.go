package launcher

import (
	"context"
	"crypto/rand"
	"fmt"

	"kpm/core"
	"kpm/core/wire"
)

// Consult asks KeeperPolicy something that is about no request, and returns its
// answer. Errors wrap ctx's.
func (l *Launcher) Consult(ctx context.Context, q wire.PolicyRequest) (wire.PolicyResponse, error) {
	id := rand.Text()
	answer := l.listings.expect(id)
	defer l.listings.forget(id)
	if err := l.cfg.Bus.List(ctx, id, q); err != nil {
		return wire.PolicyResponse{}, fmt.Errorf("ask the policy plugin: %w", err)
	}
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return wire.PolicyResponse{}, fmt.Errorf("the policy plugin does not answer: %w", core.WithKind(core.Unavailable, ctx.Err()))
	}
}
