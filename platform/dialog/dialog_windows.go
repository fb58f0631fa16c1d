package dialog

import (
	"context"

	"kpm/core/dialog"
	windows "kpm/platform/windows/dialog"
)

// Show shows q until it is answered or closed, or ctx ends. An error means that nobody
// has answered.
func Show(ctx context.Context, q dialog.Question) (dialog.Answer, error) { return windows.Show(ctx, q) }
