package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"kpm/core"
	"kpm/core/fault"
)

// Satisfy has one control collected for the request that a run was started for,
// and returns when it is recorded, or with why it is not.
type Satisfy func(ctx context.Context, run core.Principal, id core.RequestID, control core.Control) error

// CollectControl has control collected, if parameter "ControlList" names it. The
// list only saves a question: what a request still needs is the launcher's
// knowledge, and a run that nothing is collected for has satisfied nothing.
func CollectControl(control core.Control, satisfy Satisfy) Command {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		if run.Request == "" {
			return nil, errors.New("this run was not started for a request")
		}
		list, _ := params["ControlList"].(string)
		var controls []core.Control
		if err := json.Unmarshal([]byte(list), &controls); err != nil {
			return nil, fmt.Errorf("parameter ControlList is %s, expected a list of controls", fault.Quote(list))
		}
		if !slices.Contains(controls, control) {
			return nil, nil
		}
		return nil, satisfy(ctx, run, run.Request, control)
	}
}
