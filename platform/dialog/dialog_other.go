//go:build !linux && !windows && !darwin

package dialog

import (
	"context"

	"kpm/core/dialog"
)

// Show answers that it cannot.
func Show(context.Context, dialog.Question) (dialog.Answer, error) {
	return dialog.Answer{Outcome: dialog.Unavailable, Text: "this system has no dialogs"}, nil
}
