package none

import "kpm/core/port"

// Host returns a host of the given facts without any port.
func Host(facts port.Facts) port.Host {
	return port.Host{
		Facts:         facts,
		AccessLists:   AccessLists{},
		Elevations:    Elevations{},
		Accounts:      Accounts{},
		Ancestry:      Ancestry{},
		Clock:         Clock{},
		Confiner:      Confiner{},
		Files:         Files{},
		Executions:    ExecutionControl{},
		Interception:  Interception{},
		Keys:          KeyStore{},
		Certificates:  CertificateStore{},
		Launcher:      Launcher{},
		Peers:         Peers{},
		Service:       ServiceManager{},
		Sessions:      Sessions{},
		Signatures:    Signatures{},
		Terminals:     Terminals{},
		Transport:     Transport{},
		Tree:          Tree{},
		Close:         func() error { return nil },
		Authenticator: Authenticator{},
		Control:       ServiceControl{},
		Membership:    Membership{},
		Transient:     TransientAccounts{},
		Alarms:        Alarms{},
	}
}
