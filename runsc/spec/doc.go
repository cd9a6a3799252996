// Package spec reads and checks a bundle's config.json, the OCI runtime
// specification's description of a container, and turns its mount options into
// flags. It knows what Garrison supports and says so in one line when a bundle
// asks for more; nothing here touches the host beyond reading the bundle.
package spec
