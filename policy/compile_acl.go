package policy

import "fmt"

// acls compiles the rules: one list for each vport that has its own, and one for all vports that have the same by name.
// Lists that are as in the previous snapshot are shared with it.
func (k *compiler) acls() error {
	k.vportACLs = map[string]uint32{}
	k.out.ACLs = []*ACL{&noACL}
	old := map[string]*ACL{}
	if k.prev != nil {
		for _, a := range k.prev.ACLs {
			old[a.Owner] = a
		}
	}
	add := func(owner string, rules []ACLConfig) uint32 {
		if len(rules) == 0 {
			return 0
		}
		a := compileACL(owner, rules)
		if was := old[owner]; was != nil && was.equal(a) {
			a = was
		}
		k.out.ACLs = append(k.out.ACLs, a)
		return uint32(len(k.out.ACLs) - 1)
	}
	lists := map[string]uint32{}
	for i := range k.config.ACLLists {
		l := &k.config.ACLLists[i]
		lists[l.Name] = add("list "+l.Name, l.Rules)
	}
	for i := range k.config.Vports {
		v := &k.config.Vports[i]
		index := add("vport "+v.Name, v.ACLs)
		if v.ACLList != "" {
			var ok bool
			if index, ok = lists[v.ACLList]; !ok {
				return fmt.Errorf("vport %s: acl list %s is not defined", v.Name, v.ACLList)
			}
		}
		k.vportACLs[v.Name] = index
	}
	return nil
}
