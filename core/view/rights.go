package view

import (
	"time"

	"kpm/core"
)

// Rights is what became of people's places in the machine's groups of administrators.
type Rights struct {
	// Taken are those that policy has taken, Given those that somebody has for a
	// time, and Spared those that an administrator has given back.
	Taken  []Place `json:"taken"`
	Given  []Place `json:"given"`
	Spared []Place `json:"spared"`
}

// Place is somebody in a group.
type Place struct {
	User     string           `json:"user"`
	UserID   core.UserID      `json:"userId"`
	Group    string           `json:"group"`
	At       time.Time        `json:"at"`
	Policies []core.PolicyRef `json:"policies,omitempty"`
	Grant    string           `json:"grant,omitempty"`
	Until    *time.Time       `json:"until,omitempty"`
	By       string           `json:"by,omitempty"`
}

// RightsChecked is the answer to a change of rights.
type RightsChecked struct {
	Done bool `json:"done"`
}
