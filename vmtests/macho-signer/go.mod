module kpm/vmtests/macho-signer

go 1.26.0

require (
	github.com/blacktop/go-macho v1.1.296
	github.com/sassoftware/relic/v7 v7.6.2
)

require (
	github.com/alessio/shellescape v1.4.1 // indirect
	github.com/blacktop/go-dwarf v1.1.0 // indirect
	github.com/danieljoos/wincred v1.2.0 // indirect
	github.com/go-asn1-ber/asn1-ber v1.5.5 // indirect
	github.com/godbus/dbus/v5 v5.1.0 // indirect
	github.com/howeyc/gopass v0.0.0-20210920133722-c8aef6fb66ef // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/cobra v1.8.0 // indirect
	github.com/spf13/pflag v1.0.5 // indirect
	github.com/zalando/go-keyring v0.2.3 // indirect
	golang.org/x/crypto v0.18.0 // indirect
	golang.org/x/sys v0.16.0 // indirect
	golang.org/x/term v0.16.0 // indirect
	howett.net/plist v1.0.1 // indirect
	software.sslmate.com/src/go-pkcs12 v0.4.0 // indirect
)
