package socket

import (
	"slices"
	"strconv"
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/lock"
)

// A Sysctl is a parameter of a network: a file below /proc/sys/net.
type Sysctl struct {
	Name    string   // below /proc/sys/net
	Default string   // as it is shown: numbers with tabs between them
	Fixed   bool     // can't be changed: the stack knows one way only
	min     int64    // of each number
	max     int64    // likewise
	words   []string // what it may be, if it is a word
}

// settings is what has been set of a network's parameters.
type settings struct {
	mu  lock.Mutex[lock.Leaf]
	set map[string]setting // protected by mu: by name
}

// A setting is a parameter's value.
type setting struct {
	text    string
	numbers []int64
}

// A Heeder is a Family that heeds parameters.
type Heeder interface {
	// Heed is called after some have changed.
	Heed()
}

func newSetting(text string) setting {
	s := setting{text: text}
	for _, w := range strings.Fields(text) {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return setting{text: text}
		}
		s.numbers = append(s.numbers, n)
	}
	return s
}

// Sysctl is a parameter as it is shown: ENOENT.
func (n *Network) Sysctl(name string) (string, error) {
	if mtu, ok := n.mtuOf(name); ok {
		return mtu, nil
	}
	s, err := n.setting(name)
	return s.text, err
}

// Number is a parameter that is a number, or the number at index i of one that is some. It
// has to be in the table.
func (n *Network) Number(name string, i int) int64 {
	s, err := n.setting(name)
	if err != nil {
		panic("socket: no parameter " + name)
	}
	return s.numbers[i]
}

func (n *Network) setting(name string) (setting, error) {
	x, def := n.find(name)
	if x == nil {
		return setting{}, linux.ENOENT
	}
	n.settings.mu.Lock()
	defer n.settings.mu.Unlock()
	if s, ok := n.settings.set[name]; ok {
		return s, nil
	}
	return def, nil
}

// SetSysctl changes a parameter, and those that go with it. ENOENT; EACCES for one that is
// fixed, unless it stays what it is; EINVAL, but ENOENT for a word that means nothing. Fewer
// numbers than there are change the first ones.
func (n *Network) SetSysctl(name, text string) error {
	x, _ := n.find(name)
	if x == nil {
		return linux.ENOENT
	}
	old, err := n.setting(name)
	if err != nil {
		return err
	}
	text = strings.TrimRight(text, "\n\x00")
	s, err := x.parse(old, text)
	switch {
	case x.Fixed && (err != nil || s.text != old.text):
		return linux.EACCES
	case err != nil:
		return err
	}
	n.settings.mu.Lock()
	if n.settings.set == nil {
		n.settings.set = map[string]setting{}
	}
	for _, name := range n.together(name) {
		n.settings.set[name] = s
	}
	n.settings.mu.Unlock()
	n.heed()
	return nil
}

// heed tells the families that parameters have changed.
func (n *Network) heed() {
	for _, f := range n.heeders {
		f.Heed()
	}
}

// parse is what text makes of a parameter that is old.
func (x *Sysctl) parse(old setting, text string) (setting, error) {
	fields := strings.Fields(text)
	if x.words != nil {
		if len(fields) != 1 || !slices.Contains(x.words, fields[0]) {
			return old, linux.ENOENT
		}
		return setting{text: fields[0]}, nil
	}
	if old.numbers == nil {
		return setting{text: text}, nil
	}
	if len(fields) > len(old.numbers) {
		return old, linux.EINVAL
	}
	s := setting{numbers: slices.Clone(old.numbers)}
	for i, w := range fields {
		v, err := strconv.ParseInt(w, 0, 64)
		if err != nil || !x.Fixed && (v < x.min || v > x.max) {
			return old, linux.EINVAL
		}
		s.numbers[i] = v
	}
	switch {
	case x.Name == portRange && s.numbers[0] > s.numbers[1]:
		return old, linux.EINVAL
	case x.Name == pingGroups && s.numbers[0] > s.numbers[1]:
		s.numbers = []int64{1, 0} // as Linux has it for nobody
	}
	words := make([]string, len(s.numbers))
	for i, v := range s.numbers {
		words[i] = strconv.FormatInt(v, 10)
	}
	s.text = strings.Join(words, "\t")
	return s, nil
}

// together is the parameters that change with one: name, and if it is for all links, that of
// each.
func (n *Network) together(name string) []string {
	if name == "ipv4/ip_forward" {
		name = "ipv4/conf/all/forwarding"
	}
	out := []string{name}
	family, rest, ok := strings.Cut(name, "/conf/all/")
	if !ok || rest != "forwarding" && rest != "disable_ipv6" {
		return out
	}
	if family == "ipv4" {
		out = append(out, "ipv4/ip_forward")
	}
	out = append(out, family+"/conf/default/"+rest)
	for _, l := range n.Interfaces().Links() {
		out = append(out, family+"/conf/"+l.Name+"/"+rest)
	}
	return out
}

// StartLink gives a link that is new the parameters that new ones begin with.
func (n *Network) StartLink(link string) {
	n.settings.mu.Lock()
	defer n.settings.mu.Unlock()
	for _, x := range LinkSysctls {
		family, name, _ := strings.Cut(x.Name, "/")
		own := family + "/conf/" + link + "/" + name
		delete(n.settings.set, own) // of one that had the name before
		if s, ok := n.settings.set[family+"/conf/default/"+name]; ok {
			n.settings.set[own] = s
		}
	}
}

// find is the parameter that name is, a link's too, and what it is at first; nil if there
// is none.
func (n *Network) find(name string) (*Sysctl, setting) {
	if x, ok := sysctls[name]; ok {
		return x.x, x.def
	}
	family, rest, ok := strings.Cut(name, "/conf/")
	link, name, below := strings.Cut(rest, "/")
	if !ok || !below || link != "all" && link != "default" && !n.hasLink(link) {
		return nil, setting{}
	}
	x := linkSysctls[family+"/"+name]
	return x.x, x.def
}

func (n *Network) hasLink(name string) bool {
	return name == "lo" || slices.ContainsFunc(n.Interfaces().Links(), func(l Link) bool { return l.Name == name })
}

// mtuOf is a link's MTU if that is what name is: the one value that is the link's own.
func (n *Network) mtuOf(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "ipv6/conf/")
	link, is := strings.CutSuffix(rest, "/mtu")
	if !ok || !is {
		return "", false
	}
	for _, l := range n.Interfaces().Links() {
		if l.Name == link {
			return strconv.Itoa(int(l.MTU)), true
		}
	}
	return "", false
}

// A known is a parameter and what it is at first.
type known struct {
	x   *Sysctl
	def setting
}

var sysctls, linkSysctls = index(Sysctls[:]), index(LinkSysctls[:])

func index(table []Sysctl) map[string]known {
	m := make(map[string]known, len(table))
	for i := range table {
		m[table[i].Name] = known{&table[i], newSetting(table[i].Default)}
	}
	return m
}
