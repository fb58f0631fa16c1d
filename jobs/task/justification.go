package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"kpm/core"
	"kpm/settings"
)

// Justify asks the person behind request id for a reason and returns when there
// is one, or with why there is none.
type Justify func(ctx context.Context, run core.Principal, id core.RequestID) error

// PromptJustification asks the person behind the run's request for a reason, if
// parameter "ControlList" names JUSTIFY. The list only saves a question: what a
// request still needs is the launcher's knowledge, and a run that is not
// asked for a reason has satisfied nothing.
func PromptJustification(justify Justify) Command {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		if run.Request == "" {
			return nil, errors.New("this run was not started for a request")
		}
		list, _ := params["ControlList"].(string)
		var controls []core.Control
		if err := json.Unmarshal([]byte(list), &controls); err != nil {
			return nil, fmt.Errorf("parameter ControlList is %s, expected a list of controls", settings.Quote(list))
		}
		if !slices.Contains(controls, core.ControlJustify) {
			return nil, nil
		}
		return nil, justify(ctx, run, run.Request)
	}
}
