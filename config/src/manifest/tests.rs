// SPDX-License-Identifier: Apache-2.0
// Copyright The FerroLB Authors

use super::*;

fn parse(text: &str) -> Manifest {
    Manifest::parse(Path::new("a.yaml"), text)
}

/// Each refusal as `line:column reason field: message remedy`.
fn told(manifest: &Manifest) -> Vec<String> {
    let tell = |refusal: &Refusal| {
        let location = refusal.location.clone().unwrap();
        let field = refusal.field.clone().unwrap_or_default();
        let remedy = refusal.remedy.clone().unwrap();
        let Location { line, column, .. } = location;
        format!("{line}:{column} {} {field}: {} {remedy}", refusal.reason, refusal.message)
    };
    manifest.refused.iter().map(tell).collect()
}

fn names(manifest: &Manifest) -> Vec<String> {
    manifest.documents.iter().map(|document| document.object.reference().to_string()).collect()
}

const POOL: &str = "apiVersion: ferrolb.io/v1beta1\nkind: AddressPool\nmetadata: {name: web}\n";

#[test]
fn a_broken_document_does_not_harm_the_others() {
    let text = format!(
        "{POOL}spec: {{addresses: [192.0.2.0/24]}}\n---\nkind: [\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n"
    );
    let manifest = parse(&text);
    assert_eq!(names(&manifest), ["AddressPool web", "Service default/web"]);
    assert_eq!(manifest.refused.len(), 1);
    assert_eq!(manifest.refused[0].location.as_ref().unwrap().line, 6);
}

#[test]
fn every_mistake_is_told_with_line_column_field_and_remedy() {
    for (body, expected) in [
        (
            "spec:\n  addresses: [192.0.2.0/24]\n  autoasign: no\n",
            "6:3 UnknownField spec.autoasign: AddressPool has no field \"autoasign\" here Write autoAssign.",
        ),
        (
            "spec:\n  addresses: 192.0.2.0/24\n",
            "5:14 InvalidValue spec.addresses: \"192.0.2.0/24\" does not fit here: expected sequence start Write a value of the type that the field has.",
        ),
        (
            "spec:\n  addresses: [192.0.2.0/24]\n  autoAssign: maybe\n",
            "6:15 InvalidValue spec.autoAssign: \"maybe\" does not fit here: invalid boolean Write a value of the type that the field has.",
        ),
        (
            "spec:\n  autoAssign: false\n",
            "5:3 InvalidValue spec.addresses: the field \"addresses\" is missing Add spec.addresses.",
        ),
        (
            "spec:\n  addresses: [192.0.2.0/24]\nspeck: 1\n",
            "6:1 UnknownField speck: AddressPool has no field \"speck\" here Write spec.",
        ),
        (
            "spec:\n  addresses: [192.0.2.0/24]\n  addresses: []\n",
            "6:3 MalformedDocument : duplicate mapping key: addresses, set DuplicateKeyPolicy in Options if acceptable Keep one of the two.",
        ),
        (
            "spec:\n\taddresses: []\n",
            "5:2 MalformedDocument : tabs disallowed within this context (block indentation) Indent with spaces.",
        ),
    ] {
        let manifest = parse(&format!("{POOL}{body}"));
        assert_eq!(told(&manifest), [expected]);
        assert_eq!(manifest.documents, []);
    }
}

#[test]
fn places_count_from_the_top_of_the_file() {
    let text = format!("# one\n---\n{POOL}spec: {{addresses: [a]}}\n---\n{POOL}spec:\n  addresses:\n  - b\n");
    let manifest = parse(&text);
    let second = &manifest.documents[1];
    assert_eq!(second.location().line, 8);
    let Location { line, column, .. } = second.locate("spec.addresses[0]");
    assert_eq!((line, column), (13, 5));
    assert_eq!(second.locate("spec.nothing[3].here").line, 11, "the nearest field around it");
}

#[test]
fn bare_words_mean_what_the_field_is() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {tier: yes}}\nspec: {type: LoadBalancer, selector: {version: 1.10}}\n";
    let manifest = parse(text);
    assert_eq!(told(&manifest), [""; 0]);
    let Object::Service(service) = &manifest.documents[0].object else { panic!() };
    assert_eq!(service.metadata.labels.as_ref().unwrap()["tier"], "yes");
    assert_eq!(service.spec.as_ref().unwrap().selector.as_ref().unwrap()["version"], "1.10");
}

#[test]
fn an_unknown_field_of_a_core_kind_is_a_warning() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  externalTrafficPolcy: Local\n  ports: [{port: 80, prot: TCP}]\nstatus:\n  loadBalancer: {}\n";
    let manifest = parse(text);
    assert_eq!(names(&manifest), ["Service default/web"]);
    assert!(manifest.refused.iter().all(|refusal| refusal.severity == Severity::Warning));
    let fields: Vec<_> = manifest.refused.iter().map(|refusal| refusal.field.clone().unwrap()).collect();
    assert_eq!(fields, ["spec.externalTrafficPolcy", "spec.ports[0].prot"]);
}

#[test]
fn lists_are_opened_and_foreign_kinds_set_aside() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Node\n  metadata: {name: n1}\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: d}\n- apiVersion: v1\n  kind: Service\n  spec: {ports: [{port: http}]}\n";
    let manifest = parse(text);
    assert_eq!(names(&manifest), ["Node n1"]);
    assert_eq!(manifest.foreign[0].kind, "apps/v1 Deployment");
    assert_eq!(manifest.foreign[0].location.line, 7);
    assert_eq!(manifest.refused[0].location.as_ref().unwrap().line, 10);
    let of_one_kind = parse("apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: web}\n");
    assert_eq!(names(&of_one_kind), ["Service default/web"]);
}

#[test]
fn a_document_without_kind_or_name_is_refused() {
    for (text, expected) in [
        ("a: 1\n", "has no apiVersion or no kind"),
        ("- 1\n", "has no apiVersion or no kind"),
        ("just words\n", "has no apiVersion or no kind"),
        ("apiVersion: v1\nkind: Service\n", "has no name"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: ../../etc/passwd}\n", "cannot be a name"),
        ("apiVersion: ferrolb.io/v1beta1\nkind: AdressPool\n", "there is no kind \"AdressPool\""),
        ("apiVersion: ferrolb.io/v1\nkind: AddressPool\n", "in ferrolb.io/v1"),
    ] {
        let manifest = parse(text);
        assert_eq!(manifest.documents, [], "{text}");
        assert!(manifest.refused[0].message.contains(expected), "{text}: {:?}", manifest.refused);
    }
}

#[test]
fn json_is_yaml() {
    let manifest = parse("{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\"}}");
    assert_eq!(names(&manifest), ["Node n1"]);
}

#[test]
fn an_alias_bomb_ends_soon() {
    let mut text = String::from("apiVersion: v1\nkind: Node\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let below = level - 1;
        text.push_str(&format!("a{level}: &a{level} [*a{below},*a{below},*a{below},*a{below},*a{below},*a{below},*a{below},*a{below}]\n"));
    }
    assert_eq!(parse(&text).refused[0].reason, Reason::MalformedDocument);
}

proptest::proptest! {
    #[test]
    fn no_text_stops_the_reader(text in "(kind|apiVersion|v1|Service|metadata|name|List|items|[-:{}\\[\\]&*!|>'\"%@#, \n\t]|---\n|\\.\\.\\.\n|[a-z0-9\\x00-\\x1f]){0,60}") {
        let _ = parse(&text);
    }
}

#[test]
fn scalars_are_read_by_the_type_of_their_field_whether_or_not_the_document_is_plain() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {one: 1, yes: yes, half: 0.5}}\n\
                spec:\n  publishNotReadyAddresses: true\n  clusterIP: ~\n  externalName: 123\n  \
                ports: [{port: 80, targetPort: \"80\"}, {port: 0x50, targetPort: http}]\n";
    let object = |text: &str| {
        let manifest = parse(text);
        assert_eq!(manifest.refused, [], "{text}");
        manifest.documents[0].object.clone()
    };
    assert_eq!(object(text), object(&format!("{text}  type: !!str ClusterIP\n")));
}
