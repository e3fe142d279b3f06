//! Shapes of PStates and events: maps, records, lists, sets, single values, options; JSON errors.

use gridmill::client::{AppendErrorKind, ReadError};
use gridmill::prelude::*;

use crate::todo::{EVENTS, TodoEvent, TodoModule};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const NAMES: Depot<Str> = Depot::hash_by("shapes/names", |name| name.into());

#[tokio::test]
async fn r048_a_wrong_key_over_json_names_pstate_and_path() -> Result {
    // That a wrong key does not compile is shown by `compiler::r048`.
    let grid = Grid::in_memory().module::<TodoModule>().start().await?;
    let client = grid.client();
    let error = client.select_json("todo/todos", r#"[{"key": 5}, "all"]"#).await;
    let ReadError::Path(error) = error.expect_err("5 is no Str") else { panic!("no path error") };
    assert_eq!((error.pstate(), error.step_number()), ("todo/todos", 1));
    assert_eq!(error.step(), r#"{"key":5}"#);
    let text = error.to_string();
    assert!(text.contains("Str") && text.contains("got 5"), "{text}");
    Ok(())
}

#[tokio::test]
async fn r049_fields_of_a_record() -> Result {
    // A record is the design's schema of fixed keys; what does not compile: `compiler::r049`.
    #[record]
    struct Profile {
        name: Str,
        city: Option<Str>,
    }
    const PROFILES: Depot<Profile> =
        Depot::hash_by("profiles/set", |profile| profile.name.as_str().into());
    const BY_NAME: PState<Map<Str, Profile>> = PState::new("profiles/by-name");
    struct Profiles;
    impl Module for Profiles {
        const NAME: &'static str = "profiles";
        fn define(module: &mut Setup) {
            module.depot(PROFILES);
            module.stream("keep", BY_NAME).source(PROFILES).each(
                |profile: Profile, by_name: &mut Map<Str, Profile>| {
                    by_name.insert(profile.name.clone(), profile);
                },
            );
        }
    }
    let grid = Grid::in_memory().module::<Profiles>().start().await?;
    let client = grid.client();
    client.append_json("profiles/set", r#"{"name": "ann"}"#).await?;
    let ann = client.select_one(BY_NAME.key("ann")).await?;
    assert_eq!(ann, Some(Profile { name: "ann".into(), city: None }));
    let unknown = client.append_json("profiles/set", r#"{"name": "ann", "town": "Bern"}"#).await;
    let message = unknown.expect_err("no such field").to_string();
    assert!(message.contains("profiles/set") && message.contains("`town`"), "{message}");
    assert!(message.contains("`name` or `city`"), "{message}");
    let missing = client.append_json("profiles/set", r#"{"city": "Bern"}"#).await;
    assert!(missing.expect_err("a name is needed").to_string().contains("`name`"));
    let path = r#"[{"key": "ann"}, {"field": "town"}]"#;
    let message = client.select_json("profiles/by-name", path).await.expect_err("no such field");
    assert!(message.to_string().contains("town"), "{message}");
    assert_eq!(client.depot_info(PROFILES).await?.records(), 1);
    Ok(())
}

#[record]
enum Edit {
    Append(Str),
    Tag(Str),
    Untag(Str),
    Drop(u32),
}

const EDITS: Depot<(Str, Edit)> = Depot::hash_by("doc/edits", |edit| edit.0.as_str().into());
const LINES: PState<Map<Str, List<Str>>> = PState::new("doc/lines");
const TAGS: PState<Map<Str, Set<Str>>> = PState::new("doc/tags");

struct Docs;

impl Module for Docs {
    const NAME: &'static str = "docs";

    fn define(module: &mut Setup) {
        module.depot(EDITS);
        module.stream("edit", (LINES, TAGS)).source(EDITS).each(on_edit);
    }
}

type DocStates<'a> = (&'a mut Map<Str, List<Str>>, &'a mut Map<Str, Set<Str>>);

fn on_edit((doc, edit): (Str, Edit), (lines, tags): DocStates<'_>) {
    match edit {
        Edit::Append(line) => LINES.key(doc).after_elem().set(line).apply(lines),
        Edit::Tag(tag) => TAGS.key(doc).add_elem().set(tag).apply(tags),
        Edit::Untag(tag) => TAGS.key(doc).elem(tag).remove().apply(tags),
        Edit::Drop(at) => LINES.key(doc).nth(at).remove().apply(lines),
    };
}

#[tokio::test]
async fn r050_lists_and_sets_inside_a_map() -> Result {
    let grid = Grid::in_memory().module::<Docs>().start().await?;
    let client = grid.client();
    let edits = [
        Edit::Append("a".into()),
        Edit::Append("b".into()),
        Edit::Append("c".into()),
        Edit::Drop(1),
        Edit::Tag("x".into()),
        Edit::Tag("y".into()),
        Edit::Tag("x".into()),
        Edit::Untag("y".into()),
    ];
    client.append_many(EDITS, edits.map(|edit| ("doc".into(), edit))).await?;
    assert_eq!(client.select(LINES.key("doc").all()).await?, ["a", "c"]);
    assert_eq!(client.select(TAGS.key("doc").all()).await?, ["x"]);
    // Removing the last element leaves an empty collection, not a missing one.
    client.append(EDITS, ("doc".into(), Edit::Untag("x".into()))).await?;
    assert_eq!(client.select_one(TAGS.key("doc")).await?, Some(Set::new()));
    assert_eq!(client.select_one(TAGS.key("other")).await?, None);
    Ok(())
}

#[tokio::test]
async fn r051_one_number_per_partition() -> Result {
    // A root that is one value is the design's class schema at the top level.
    const TOTAL: PState<u64> = PState::new("shapes/total").local();
    struct Totals;
    impl Module for Totals {
        const NAME: &'static str = "totals";
        fn define(module: &mut Setup) {
            module.depot(NAMES);
            module.stream("total", TOTAL).source(NAMES).each(|_: Str, total: &mut u64| *total += 1);
        }
    }
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).partitions(4).module::<Totals>();
    let grid = builder.clone().start().await?;
    let client = grid.client();
    let names = (0..100).map(|n| Str::from(format!("name{n}")));
    let receipt = client.append_many(NAMES, names).await?;
    let mut expected = vec![0; 4];
    for part in &receipt.parts {
        expected[part.partition as usize] = part.indexes.len() as u64;
    }
    assert!(expected.iter().all(|&count| count > 0), "100 names reach every partition");
    assert_eq!(client.select_all(TOTAL).await?, expected);
    assert_eq!(client.select_on(2, TOTAL).await?, [expected[2]]);
    grid.shutdown().await?;
    let grid = builder.start().await?;
    assert_eq!(grid.client().select_all(TOTAL).await?, expected);
    Ok(())
}

#[tokio::test]
async fn r052_none_and_absent_are_told_apart() -> Result {
    // `Option` is the design's null.
    const SET: Depot<(Str, Option<u64>)> =
        Depot::hash_by("options/set", |set| set.0.as_str().into());
    const VALUES: PState<Map<Str, Option<u64>>> = PState::new("options/values");
    struct Options;
    impl Module for Options {
        const NAME: &'static str = "options";
        fn define(module: &mut Setup) {
            module.depot(SET);
            module.stream("set", VALUES).source(SET).each(
                |(key, value): (Str, Option<u64>), values: &mut Map<Str, Option<u64>>| {
                    values.insert(key, value);
                },
            );
        }
    }
    let folder = tempfile::tempdir()?;
    let builder = Grid::builder(folder.path()).module::<Options>();
    // From memory, then from a run.
    for start in 0..2 {
        let grid = builder.clone().start().await?;
        let client = grid.client();
        if start == 0 {
            client.append_many(SET, [("none".into(), None), ("seven".into(), Some(7))]).await?;
        }
        assert_eq!(client.select_one(VALUES.must("absent")).await?, None);
        assert_eq!(client.select_one(VALUES.must("none")).await?, Some(None));
        assert_eq!(client.select_one(VALUES.must("seven")).await?, Some(Some(7)));
        assert!(client.select(VALUES.key("none").some()).await?.is_empty());
        assert_eq!(client.select(VALUES.key("seven").some()).await?, [7]);
        let json = client.select_json("options/values", r#"[{"must": "none"}]"#).await?;
        assert_eq!(json, "[null]");
        assert_eq!(client.select_json("options/values", r#"[{"must": "absent"}]"#).await?, "[]");
        grid.shutdown().await?;
    }
    Ok(())
}

#[tokio::test]
async fn r053_json_errors_name_place_expected_and_got() -> Result {
    let grid = Grid::in_memory().module::<TodoModule>().start().await?;
    let client = grid.client();
    let bad = r#"{"Complete": {"user": "ann", "index": "first", "at": 7}}"#;
    let error = client.append_json("todo/events", bad).await.expect_err("index is a number");
    let AppendErrorKind::Json { depot, source } = &error else { panic!("{error}") };
    assert_eq!((depot.as_str(), source.path.as_str()), ("todo/events", "Complete.index"));
    assert!(source.message.contains(r#"invalid type: string "first", expected u32"#), "{source}");
    let path = r#"[{"key": "ann"}, "all", {"field": "text"}, {"filter_eq": 5}]"#;
    let error = client.select_json("todo/todos", path).await.expect_err("text is no number");
    let ReadError::Path(error) = error else { panic!("{error}") };
    assert_eq!((error.pstate(), error.step_number()), ("todo/todos", 4));
    assert!(error.expected().contains("Str") && error.got().contains('5'), "{error}");
    for (path, step) in [
        (r#"[{"key": "ann"}, {"key": "x"}]"#, 2),
        (r#"[{"key": "ann"}, {"nth": "0"}]"#, 2),
        (r#"[{"key": "ann"}, "al"]"#, 2),
        (r#"[{"key": "ann"}, "all", {"key_range": {"ge": 3}}]"#, 3),
        (r#""all""#, 0),
        ("nonsense", 0),
    ] {
        let error = client.select_json("todo/todos", path).await.expect_err(path);
        let ReadError::Path(error) = error else { panic!("{path}: {error}") };
        assert_eq!((error.pstate(), error.step_number()), ("todo/todos", step), "{path}: {error}");
        assert!(!error.expected().is_empty() && !error.got().is_empty(), "{path}: {error}");
    }
    // Nothing was logged, and what fits goes through.
    assert_eq!(client.depot_info(EVENTS).await?.records(), 0);
    let event = TodoEvent::New { user: "ann".into(), text: "5".into() };
    client.append(EVENTS, event).await?;
    let path = r#"[{"key": "ann"}, "all", {"field": "text"}, {"filter_eq": "5"}]"#;
    assert_eq!(client.select_json("todo/todos", path).await?, r#"["5"]"#);
    Ok(())
}
