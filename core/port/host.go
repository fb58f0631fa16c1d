package port

// Host is every port of one operating system, and its facts. Where a system has
// no such thing, the port is the one of package platform/none, whose methods
// answer errors.ErrUnsupported.
type Host struct {
	Facts Facts

	AccessLists   AccessLists
	Accounts      Accounts
	Ancestry      Ancestry
	Clock         Clock
	Confiner      Confiner
	Elevations    Elevations
	Executions    ExecutionControl
	Files         Files
	Interception  Interception
	Keys          KeyStore
	Certificates  CertificateStore
	Launcher      Launcher
	Peers         Peers
	Service       ServiceManager
	Sessions      Sessions
	Signatures    SystemSignatures
	Terminals     Terminals
	Transport     LocalTransport
	Tree          ProcessTree
	Authenticator Authenticator
	Control       ServiceControl
	Membership    Membership
	Transient     TransientAccounts
	Alarms        Alarms

	// Close ends what the ports keep running. It is called once, last.
	Close func() error
}
