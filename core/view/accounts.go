package view

import "kpm/core"

// EphemeralAccount is the account that a request runs as.
type EphemeralAccount struct {
	RequestID core.RequestID `json:"RequestId"`
	UserName  string         `json:"UserName"`
}

// AccountsCleaned is how many accounts and homes were removed.
type AccountsCleaned struct {
	Removed int `json:"removed"`
}
