package api_test

import (
	"context"

	"kpm/core"
)

// accountsOf makes accounts where launches are allowed.
type accountsOf struct{ *world }

func (w accountsOf) Prepare(ctx context.Context, from core.Principal, id core.RequestID) (string, error) {
	return "keeperusersession-1", w.Launch(ctx, from, id)
}

func (accountsOf) Clean(context.Context) (int, error) { return 2, nil }
