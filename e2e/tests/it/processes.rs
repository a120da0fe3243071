//! The story without a node.

use e2e::demo;

use crate::support::{absent, arguments, skipped};

#[tokio::test]
async fn the_story_on_processes() {
    let mut args = arguments("none");
    args.no_node = true;
    if skipped("the story on processes", absent(&[args.proxy.clone(), args.module.clone()])) {
        return;
    }
    demo::run(args).await.unwrap();
}
